"""A probe on questions that it was not made from: answers, readings and figures, without a fit."""
