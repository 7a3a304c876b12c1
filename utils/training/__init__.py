"""Training: one loop for every neural model of the book, by one process or by many.

Modules, in reading order:

- ``config``: the configuration of a run and its learning-rate schedule.
- ``objectives``: the losses that are minimized, and the form of the batches.
- ``adversarial``: the objective of adversarial training.
- ``preferences``: direct preference optimization, the loss of pairs of answers.
- ``policy_gradient``: policy gradients on drawn answers, with advantages in a group.
- ``optimizers``: AdamW and Muon.
- ``loop``: `fit`, and the single step `train_step`.
- ``training_run``: everything that changes during a run, and the history that `fit` returns.
- ``validation``: the validation loss during a run, and the parameters of the lowest one.
- ``evaluation``: loss and perplexity on given batches.
- ``batch_checks``: checks of the batches of a run before its first step.
- ``progress``: the progress bar.
- ``checkpoint``: checkpoints of a run, from which it resumes.
- ``checkpoint_content``: what a run must have in common with its checkpoint.
- ``tensor_file``: the file format of checkpoints and of trained models.
- ``distributed``: several processes that train one model, each with a copy or a part of it.
- ``loss_module``: the loss of the rows of a batch that one process reads.
- ``sharding``: what the processes do if each has a part of the model.

``python -m utils.training`` starts the command line of ``utils.command``.
"""
