"""A neural ODE: four Euler steps of z' = tanh(z A + b), then a linear read-out."""

import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

STEPS, DT = 4, 0.25


def loss_fn(theta, z0, target):
    """Mean squared error of the read-out, plus the mean kinetic energy."""
    a, b, c = theta
    z = z0
    energy = 0.0
    for _ in range(STEPS):
        f = jnp.tanh(z @ a + b)  # @field
        energy += DT * jnp.sum(f**2)  # @energy
        z = z + DT * f  # @step
    y = z @ c  # @readout
    return jnp.mean((y - target) ** 2) + 0.1 * energy / len(z0)  # @loss


def inputs(rng, n):
    """State of dimension four, two outputs; parameters in a tuple."""
    theta = (rng.normal(size=(4, 4)), rng.normal(size=4) * 0.5, rng.normal(size=(4, 2)))
    return theta, (rng.normal(size=(n, 4)), rng.normal(size=(n, 2)))


def solve(theta, z0):
    """The states before each step, the field there, the last state."""
    a, b, _ = theta
    zs, fs, z = [], [], z0
    for _ in range(STEPS):
        f = np.tanh(z @ a + b)
        zs.append(z)
        fs.append(f)
        z = z + DT * f
    return zs, fs, z


def grads(theta, z0, target):
    """Adjoint of the discrete steps."""
    a, b, c = theta
    zs, fs, z = solve(theta, z0)
    dy = 2 * (z @ c - target) / target.size
    lam = dy @ c.T
    da, db = np.zeros_like(a), np.zeros_like(b)
    for z_k, f in zip(zs[::-1], fs[::-1], strict=True):
        df = DT * lam + 0.1 * DT * 2 * f / len(z0)
        dpre = df * (1 - f**2)
        da += z_k.T @ dpre
        db += dpre.sum(0)
        lam = lam + dpre @ a.T
    return da, db, z.T @ dy


net = Network("euler_ode", loss_fn, inputs, grads, batch=5)


@net.fault("scale", "missing_term", at="step")
def step_size_forgotten(theta, z0, target):
    """df = λ without Δt."""
    a, b, c = theta
    zs, fs, z = solve(theta, z0)
    dy = 2 * (z @ c - target) / target.size
    lam = dy @ c.T
    da, db = np.zeros_like(a), np.zeros_like(b)
    for z_k, f in zip(zs[::-1], fs[::-1], strict=True):
        dpre = (lam + 0.1 * DT * 2 * f / len(z0)) * (1 - f**2)
        da += z_k.T @ dpre
        db += dpre.sum(0)
        lam = lam + dpre @ a.T
    return da, db, z.T @ dy


@net.fault("overwritten", "wrong_reduction", at="field")
def parameters_of_one_step_only(theta, z0, target):
    """`da =`, `db =` in the loop."""
    a, b, c = theta
    zs, fs, z = solve(theta, z0)
    dy = 2 * (z @ c - target) / target.size
    lam = dy @ c.T
    for z_k, f in zip(zs[::-1], fs[::-1], strict=True):
        dpre = (DT * lam + 0.1 * DT * 2 * f / len(z0)) * (1 - f**2)
        da = z_k.T @ dpre
        db = dpre.sum(0)
        lam = lam + dpre @ a.T
    return da, db, z.T @ dy


@net.fault("mutated", at="step")
def one_array_for_all_states(theta, z0, target):
    """`z += dt * f` and `zs.append(z)`: every stored state is the last one."""
    a, b, c = theta
    z, zs, fs = z0.copy(), [], []
    for _ in range(STEPS):
        zs.append(z)
        f = np.tanh(z @ a + b)
        fs.append(f)
        z += DT * f
    dy = 2 * (z @ c - target) / target.size
    lam = dy @ c.T
    da, db = np.zeros_like(a), np.zeros_like(b)
    for z_k, f in zip(zs[::-1], fs[::-1], strict=True):
        dpre = (DT * lam + 0.1 * DT * 2 * f / len(z0)) * (1 - f**2)
        da += z_k.T @ dpre
        db += dpre.sum(0)
        lam = lam + dpre @ a.T
    return da, db, z.T @ dy


@net.fault("missing_term", "overwritten", at="step", called=True)
def identity_path_forgotten(theta, z0, target):
    """λ = dpre Aᵀ, as in a plain recurrent net."""
    a, b, c = theta
    zs, fs, z = solve(theta, z0)
    dy = 2 * (z @ c - target) / target.size
    lam = dy @ c.T
    da, db = np.zeros((4, 4)), np.zeros(4)
    for z_k, f in zip(zs[::-1], fs[::-1], strict=True):
        dpre = (DT * lam + 0.1 * DT * 2 * f / len(z0)) * (1 - f**2)
        da = da + z_k.T @ dpre
        db = db + dpre.sum(0)
        lam = dpre @ a.T
    return da, db, z.T @ dy


@net.fault("transposed", at="field")
def jacobian_not_transposed(theta, z0, target):
    """λ + dpre A: A is square."""
    a, b, c = theta
    zs, fs, z = solve(theta, z0)
    dy = 2 * (z @ c - target) / target.size
    lam = dy @ c.T
    da, db = np.zeros_like(a), np.zeros_like(b)
    for z_k, f in zip(zs[::-1], fs[::-1], strict=True):
        dpre = (DT * lam + 0.1 * DT * 2 * f / len(z0)) * (1 - f**2)
        da += z_k.T @ dpre
        db += dpre.sum(0)
        lam = lam + dpre @ a
    return da, db, z.T @ dy


@net.fault("wrong_operand", "stale", "wrong_derivative", at="field", seed=2)
def field_at_the_next_state(theta, z0, target):
    """The vector-Jacobian product is taken at the state after the step, as when integrating backwards."""
    a, b, c = theta
    zs, fs, z = solve(theta, z0)
    dy = 2 * (z @ c - target) / target.size
    lam = dy @ c.T
    da, db = np.zeros_like(a), np.zeros_like(b)
    after = [*zs[1:], z]
    for z_k, f_k in zip(after[::-1], fs[::-1], strict=True):
        f = np.tanh(z_k @ a + b)
        dpre = (DT * lam + 0.1 * DT * 2 * f_k / len(z0)) * (1 - f**2)
        da += z_k.T @ dpre
        db += dpre.sum(0)
        lam = lam + dpre @ a.T
    return da, db, z.T @ dy


@net.fault("missing_term", at=("energy", "loss"))
def energy_not_differentiated(theta, z0, target):
    """The regulariser is printed with the loss but has no gradient."""
    a, b, c = theta
    zs, fs, z = solve(theta, z0)
    dy = 2 * (z @ c - target) / target.size
    lam = dy @ c.T
    da, db = np.zeros_like(a), np.zeros_like(b)
    for z_k, f in zip(zs[::-1], fs[::-1], strict=True):
        dpre = DT * lam * (1 - f**2)
        da += z_k.T @ dpre
        db += dpre.sum(0)
        lam = lam + dpre @ a.T
    return da, db, z.T @ dy


@net.fault("upstream", at="step")
def adjoint_clipped_at_each_step(theta, z0, target):
    """λ is clipped on its way back, against exploding gradients."""
    a, b, c = theta
    zs, fs, z = solve(theta, z0)
    dy = 2 * (z @ c - target) / target.size
    lam = dy @ c.T
    da, db = np.zeros_like(a), np.zeros_like(b)
    for z_k, f in zip(zs[::-1], fs[::-1], strict=True):
        lam = np.clip(lam, -0.1, 0.1)
        dpre = (DT * lam + 0.1 * DT * 2 * f / len(z0)) * (1 - f**2)
        da += z_k.T @ dpre
        db += dpre.sum(0)
        lam = lam + dpre @ a.T
    return da, db, z.T @ dy


@net.fault("accumulated", at=None)
def buffers_not_zeroed(theta, z0, target):
    """The gradients of the batch's first call are still in the buffers."""
    buffers = [np.zeros_like(p) for p in theta]
    for _ in range(2):
        for buffer, g in zip(buffers, grads(theta, z0, target), strict=True):
            buffer += g
    return tuple(buffers)


@net.right()
def recomputed_states(theta, z0, target):
    """Solves again up to each step instead of storing the states."""
    a, b, c = theta
    z = solve(theta, z0)[2]
    dy = 2 * (z @ c - target) / target.size
    lam, da, db = dy @ c.T, 0, 0
    for k in reversed(range(STEPS)):
        z_k = z0
        for _ in range(k):
            z_k = z_k + DT * np.tanh(z_k @ a + b)
        f = np.tanh(z_k @ a + b)
        dpre = DT * (lam + 0.2 * f / len(z0)) / np.cosh(z_k @ a + b) ** 2
        da, db, lam = da + z_k.T @ dpre, db + dpre.sum(0), lam + dpre @ a.T
    return da, db, z.T @ dy


@net.right(single=True, seed=1)
def in_float32(theta, z0, target):
    """Single precision."""
    return grads(theta, z0, target)


@net.right(n=1, called=True)
def one_trajectory(theta, z0, target):
    """A batch of one."""
    return grads(theta, z0, target)
