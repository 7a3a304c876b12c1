"""What can be read from models and what can be changed in them: for section 8.2.

``networks`` has the models that are trained, ``attributions`` ranks words and judges the rankings,
``induction`` examines the heads of an attention-only model, ``stream`` reads the stored GPT,
``sparse`` decomposes its residual stream, ``features`` judges the features, ``steering`` adds them
to it and takes them off, ``parts`` lists what is run, and ``__main__`` is the command.
"""
