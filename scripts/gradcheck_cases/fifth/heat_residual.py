"""A physics-informed network: u'' - u³ = f by finite differences on a grid, with two boundary values."""

import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

DX = 0.4
EDGE = 3.0


def loss_fn(params, x, f, ends):
    """Mean squared residual inside, squared misfit at both ends."""
    h = jnp.tanh(x[:, None] * params["w1"] + params["b1"])  # @hidden
    u = h @ params["w2"] + params["b2"]  # @output
    u_xx = (u[2:] - 2 * u[1:-1] + u[:-2]) / DX**2  # @stencil
    residual = u_xx - u[1:-1] ** 3 - f  # @residual
    inside = jnp.mean(residual**2)  # @inside
    edges = (u[0] - ends[0]) ** 2 + (u[-1] - ends[1]) ** 2  # @edges
    return inside + EDGE * edges  # @total


def inputs(rng, n):
    """n inner points of the grid, five hidden units."""
    params = {"w1": rng.normal(size=5), "b1": rng.normal(size=5), "w2": rng.normal(size=5), "b2": rng.normal()}
    return params, (DX * np.arange(n + 2), rng.normal(size=n), rng.normal(size=2))


def forward(params, x, f):
    """Hidden units, u and the residual."""
    h = np.tanh(x[:, None] * params["w1"] + params["b1"])
    u = h @ params["w2"] + params["b2"]
    return h, u, np.diff(u, 2) / DX**2 - u[1:-1] ** 3 - f


def network(params, x, h, du):
    """From du to the parameters."""
    dpre = du[:, None] * params["w2"] * (1 - h**2)
    return {"w1": x @ dpre, "b1": dpre.sum(axis=0), "w2": h.T @ du, "b2": du.sum()}


def grads(params, x, f, ends):
    """The stencil's transpose, then the network."""
    h, u, residual = forward(params, x, f)
    dr = 2 * residual / len(f)
    du = np.zeros_like(u)
    du[2:] += dr / DX**2
    du[1:-1] -= 2 * dr / DX**2 + 3 * u[1:-1] ** 2 * dr
    du[:-2] += dr / DX**2
    du[0] += EDGE * 2 * (u[0] - ends[0])
    du[-1] += EDGE * 2 * (u[-1] - ends[1])
    return network(params, x, h, du)


net = Network("heat_residual", loss_fn, inputs, grads, batch=7)


@net.fault("overwritten", at="stencil", called=True)
def slices_assigned(params, x, f, ends):
    """du[2:] =, du[:-2] = and so on: what overlaps is lost."""
    h, u, residual = forward(params, x, f)
    dr = 2 * residual / len(residual)
    du = np.zeros_like(u)
    du[2:] = dr / DX**2
    du[:-2] = dr / DX**2
    du[1:-1] += -2 * dr / DX**2 - 3 * u[1:-1] ** 2 * dr
    du[0] += 2 * EDGE * (u[0] - ends[0])
    du[-1] += 2 * EDGE * (u[-1] - ends[1])
    return network(params, x, h, du)


@net.fault("scale", at="stencil")
def divided_by_dx_once(params, x, f, ends):
    """1/dx for 1/dx² in the second derivative's backward."""
    h, u, residual = forward(params, x, f)
    dr = 2 * residual / len(residual)
    du = np.convolve(dr / DX, [1, -2, 1])
    du[1:-1] -= 3 * u[1:-1] ** 2 * dr
    du[[0, -1]] += 2 * EDGE * (u[[0, -1]] - ends)
    return network(params, x, h, du)


@net.fault("accumulated", at=None, seed=1)
def gradient_kept_from_the_last_call(params, x, f, ends):
    """The accumulator is a default argument: the second call returns the sum of both."""

    def accumulate(du, total={}):  # noqa: B006
        for key, grad in du.items():
            total[key] = total.get(key, 0) + grad
        return total

    accumulate(grads(params, x, f, ends))
    return dict(accumulate(grads(params, x, f, ends)))


@net.fault("missing_term", "wrong_derivative", at=("edges", "residual"))
def no_boundary_and_a_cube_like_a_square(params, x, f, ends):
    """Two mistakes: the ends are left out, and u³ has the slope 2u."""
    h, u, residual = forward(params, x, f)
    dr = 2 * residual / len(residual)
    du = np.convolve(dr / DX**2, [1, -2, 1])
    du[1:-1] -= 2 * u[1:-1] * dr
    return network(params, x, h, du)


@net.right()
def stencil_as_a_matrix(params, x, f, ends):
    """Dᵀ dr with the dense difference matrix."""
    h, u, residual = forward(params, x, f)
    matrix = np.diff(np.eye(len(u)), 2, axis=0) / DX**2
    dr = residual * (2 / len(residual))
    du = matrix.T @ dr
    du[1:-1] -= 3 * u[1:-1] ** 2 * dr
    du[[0, -1]] += 2 * EDGE * (u[[0, -1]] - ends)
    return network(params, x, h, du)


@net.right(n=1, seed=2)
def one_inner_point(params, x, f, ends):
    """Three points of the grid."""
    return grads(params, x, f, ends)
