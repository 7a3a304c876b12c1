"""Diagram of recognizers of speech: one encoder, three ways to write a text."""

from __future__ import annotations

from tools.diagrams.canvas import each_part
from tools.diagrams.vocabulary import Diagram

TITLE_LEFT, BOX, OUTPUT = 150.0, 222.0, 344.0  # x of titles, boxes and outputs


def speech_recognizers() -> Diagram:
    """Draw CTC, the transducer and the encoder–decoder on one encoder of sound."""
    d = Diagram(
        "speech-recognizers",
        "Three recognizers on one encoder",
        "On the left, features of the sound enter an encoder, which is made of convolutions and a "
        "GRU on this page, may be a Conformer, and may be pretrained as in wav2vec 2.0. On the "
        "right, from top to bottom, three outputs. CTC: a softmax gives a token or a blank at each "
        "time step. Transducer: a joint network also receives the state of a predictor, which "
        "reads the tokens so far. Encoder–decoder, as in Whisper: a decoder attends to all time "
        "steps, reads the tokens so far and writes the next token.",
        variants=each_part("ctc", "transducer", "decoder"),
    )
    frame = d.frame(8, 30, 128, 366)
    d.text(68, 52, "encoder", bold=True)
    for y, label, note in (
        (112, "conv. + GRU", "on this page"),
        (202, "Conformer", "attention + conv."),
        (292, "wav2vec 2.0", "pretrained"),
    ):
        d.box(68, y, 104, label, "layer")
        d.note(68, y + 30, note)
    sound = d.token(68, 414, "sound")
    d.arrow(sound.top, frame.bottom)
    with d.part("ctc"):
        d.text(TITLE_LEFT, 52, "CTC", anchor="start", bold=True)
        softmax = d.box(BOX, 92, 92, "softmax", "layer")
        d.arrow((128, 92), softmax.left)
        d.arrow(softmax.right, (302, 92))
        d.text(OUTPUT, 92, "token or ∅")
        d.note(OUTPUT, 114, "at each step")
    with d.part("transducer"):
        d.text(TITLE_LEFT, 156, "transducer (RNN-T)", anchor="start", bold=True)
        joint = d.box(BOX, 196, 92, "joint", "layer")
        predictor = d.box(BOX, 252, 92, "predictor", "state")
        d.arrow((128, 196), joint.left)
        d.arrow(predictor.top, joint.bottom)
        d.arrow(joint.right, (302, 196))
        d.text(OUTPUT, 196, "token or ∅")
        d.arrow((OUTPUT, 208), (OUTPUT, 252), predictor.right, dashed=True)
    with d.part("decoder"):
        d.text(TITLE_LEFT, 306, "encoder–decoder (Whisper)", anchor="start", bold=True)
        decoder = d.box(BOX, 346, 92, "decoder", "attention")
        d.arrow((128, 346), decoder.left)
        d.arrow(decoder.right, (302, 346))
        d.text(OUTPUT, 346, "next token")
        d.arrow((OUTPUT, 358), (OUTPUT, 398), (BOX, 398), decoder.bottom, dashed=True)
        d.note(284, 414, "tokens so far")
    return d
