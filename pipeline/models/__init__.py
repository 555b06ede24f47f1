"""Text features, classifiers and the decision layer, with the scikit-learn contract."""
