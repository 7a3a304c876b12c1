"""The types of closed choices, `Literal`, name exactly the choices that there are."""

from typing import get_args

import pytest

from utils.command.run_folder import CHECKPOINTS
from utils.command.training_data import TOKENIZERS, TokenizerName
from utils.data.corpora import CORPUS_LANGUAGES, PairCorpusName
from utils.data.examples import Language
from utils.data.standins.pairs import REALIZERS
from utils.models.attention_scores import ATTENTION_SCORES, AttentionScore
from utils.models.recurrent import CELLS, Cell
from utils.models.transformer_layer import ACTIVATIONS, Activation
from utils.notebook.claims.claim import EXPECTED, Expected
from utils.notebook.claims.evaluation import TESTS, THRESHOLDS, Sample, TestName
from utils.notebook.evidence import BOUNDS, TRENDS
from utils.speech.announcements import ACCENTS, VARIANTS, VoiceSplit
from utils.training.config import SCHEDULES, Schedule
from utils.training.distributed import Strategy
from utils.training.optimizers import OPTIMIZERS, OptimizerName


@pytest.mark.parametrize(
    "choice, table",
    [
        (Activation, ACTIVATIONS),
        (AttentionScore, ATTENTION_SCORES),
        (Cell, CELLS),
        (Language, REALIZERS),
        (OptimizerName, OPTIMIZERS),
        (PairCorpusName, CORPUS_LANGUAGES),
        (Sample, TESTS),
        (Schedule, SCHEDULES),
        (Strategy, CHECKPOINTS),
        (TokenizerName, TOKENIZERS),
        (VoiceSplit, ACCENTS),
        (VoiceSplit, VARIANTS),
    ],
)
def test_a_type_names_the_keys_of_its_table(choice, table):
    assert get_args(choice) == tuple(table)


def test_the_types_of_a_claim_name_its_kinds_and_tests():
    assert EXPECTED == get_args(Expected) and {*TRENDS, *BOUNDS, *THRESHOLDS} < {*EXPECTED}
    assert {test for tests in TESTS.values() for test in tests} == {*get_args(TestName)}


def test_the_languages_are_those_of_the_corpora():
    languages = {language for known in CORPUS_LANGUAGES.values() for language in known}
    assert languages == set(get_args(Language))
