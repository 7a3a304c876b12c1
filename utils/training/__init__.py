"""Training: one loop for every neural model of the book, by one process or by many.

Modules, in reading order:

- ``config``: the configuration of a run and its learning-rate schedule.
- ``protocols``: the types of batches, of their streams and of objectives.
- ``objectives``: the losses that are minimized.
- ``adversarial``: the objective of adversarial training.
- ``preferences``: direct preference optimization, the loss of pairs of answers.
- ``policy_gradient``: policy gradients on drawn answers, with advantages in a group.
- ``optimizers``: AdamW and Muon.
- ``loop``: `fit`.
- ``optimizer_step``: the single step, `train_step`.
- ``training_run``: everything that changes during a run.
- ``history``: losses, validations and speed of a run, which `fit` returns.
- ``validation``: the validation loss during a run, and the parameters of the lowest one.
- ``evaluation``: loss and perplexity on given batches.
- ``batch_checks``: checks of the batches of a run before its first step.
- ``progress``: the progress bar.
- ``checkpoint``: checkpoints of a run, from which it resumes.
- ``checkpoint_content``: what a run must have in common with its checkpoint.
- ``model_description``: a model in words, for that comparison.
- ``tensor_file``: the file format of checkpoints and of trained models.
- ``distributed``: several processes that train one model, each with a copy or a part of it.
- ``loss_module``: the loss of the rows of a batch that one process reads.
- ``sharding``: what the processes do if each has a part of the model.

``python -m utils.training`` starts the command line of ``utils.command``.
"""
