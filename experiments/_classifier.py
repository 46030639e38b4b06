"""Experiments that train a network to tell images apart: their data, what is measured, what the report shows."""

from typing import Any

import jax

from experiments._options import TrainingConfig
from experiments._training import Result, train
from functional_nets import data, training
from functional_nets.data import catalogue
from functional_nets.models import Model
from functional_nets.nn import classification_loss
from functional_nets.report import Answers, Section, classifier_sections


def train_classifier(name: str, dataset: str, config: TrainingConfig, model: Model, **options: Any) -> Result:
    """Trains a model to classify the images of a data set, writes the run's files and returns its result."""
    config.check()
    images = data.load(dataset, source=config.source, data_dir=config.data_dir)

    count = min(len(images.train.x), len(images.test.x))  # As many, so that one program serves both.
    seen = [array[:count] for array in images.train]

    def evaluate(params: Any) -> dict[str, float]:
        accuracy, loss = training.evaluate(model.apply, params, images.test)
        train_accuracy, _ = training.evaluate(model.apply, params, seen)
        return {"test_accuracy": accuracy, "test_loss": loss, "train_accuracy": train_accuracy}

    return train(
        name,
        config,
        classification_loss(model.apply),
        model.init(jax.random.key(config.seed or 0)),
        images.train,
        evaluate,
        source={
            "dataset": catalogue.KNOWN[images.name].title,
            "source": images.source,
            "complete": images.complete,
            "notice": images.notice,
            "test_examples": len(images.test.x),
        },
        sections=lambda params: answer_sections(model, params, images),
        **options,
    )


def answer_sections(model: Model, params: Any, images: data.Dataset) -> list[Section]:
    """Returns what the report shows of a network on its test images."""
    answers = Answers(*images.test, training.predict(model.apply, params, images.test), images.class_names)
    return classifier_sections(answers, params)
