import numpy as np
import pytest

from spurgekit.classify.row_space import right_singular_vectors


@pytest.mark.parametrize("shape", [(6, 20), (20, 6)])
@pytest.mark.parametrize("converges", [True, False])
def test_rows_are_made_of_them_whichever_way_they_were_found(monkeypatch, shape, converges):
    rows = np.random.default_rng(0).normal(size=shape)
    rows[3] = rows[1]
    if not converges:

        def fail(*_, **__):
            raise np.linalg.LinAlgError("SVD did not converge")

        monkeypatch.setattr(np.linalg, "svd", fail)

    lengths, directions = right_singular_vectors(rows)

    assert directions.shape == (6, shape[1])
    np.testing.assert_allclose(directions @ directions.T, np.eye(6), atol=1e-12)
    np.testing.assert_allclose(directions.T * lengths**2 @ directions, rows.T @ rows, atol=1e-12)
    assert (np.diff(lengths) <= 0).all()
