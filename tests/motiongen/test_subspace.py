import torch

from avatargen.core.rng import stream
from motiongen.subspace import main_directions, pose_covariance, time_covariance

GROUPS = torch.tensor([0.0, 0.0, 1.0, 1.0, 1.0])


def windows(count: int, seed: str = "windows") -> torch.Tensor:
    """Gaussian windows [n, 6, 5] whose covariance is a Kronecker product without anything between the groups."""
    steady = torch.Generator().manual_seed(2)
    frames = torch.tril(torch.ones(6, 6)) * 0.5
    poses = torch.zeros(5, 5)
    for part in (slice(0, 2), slice(2, 5)):
        size = part.stop - part.start
        poses[part, part] = torch.randn(size, size, generator=steady)
    return frames @ torch.randn(count, 6, 5, generator=stream(0, seed)) @ poses


def parted(covariance: torch.Tensor) -> torch.Tensor:
    """The covariance [30, 30] without anything between what all frames share and what they do not."""
    shared = torch.kron(torch.full((6, 6), 1 / 6), torch.eye(5))
    rest = torch.eye(30) - shared
    return shared @ covariance @ shared + rest @ covariance @ rest


def test_without_the_separable_share_they_are_the_principal_components_of_both_parts():
    rows = windows(40)
    flat = rows.flatten(1)
    basis, _ = main_directions(rows, GROUPS, 7, stream(0, "d"), separable=0.0)
    vectors = torch.linalg.eigh(parted(flat.T @ flat / 40)).eigenvectors[:, -7:]
    torch.testing.assert_close(basis.T @ basis, vectors @ vectors.T, rtol=0, atol=1e-3)


def test_the_separable_share_is_the_kronecker_product_written_down():
    rows = windows(40)
    dense = parted(torch.kron(time_covariance(rows), pose_covariance(rows, GROUPS)))
    basis, _ = main_directions(rows, GROUPS, 7, stream(0, "d"), separable=1.0)
    told = torch.linalg.eigvalsh(dense).flip(0)[:7].sum()
    torch.testing.assert_close((basis @ dense @ basis.T).trace(), told, rtol=1e-4, atol=0)


def test_what_does_not_move_is_rebuilt_without_moving():
    basis, _ = main_directions(windows(40), GROUPS, 9, stream(0, "d"))
    still = windows(10)[:, :1].expand(-1, 6, -1).flatten(1)
    rebuilt = (still @ basis.T @ basis).unflatten(1, (6, 5))
    assert float((rebuilt - rebuilt.mean(1, keepdim=True)).abs().max()) < 1e-5
    assert float(rebuilt.abs().mean()) > 0.1


def test_directions_are_orthonormal_and_the_rows_uncorrelated_along_them():
    rows = windows(50)
    basis, spread = main_directions(rows, GROUPS, 6, stream(0, "d"))
    torch.testing.assert_close(basis @ basis.T, torch.eye(6), rtol=0, atol=1e-4)
    along = rows.flatten(1) @ basis.T
    torch.testing.assert_close(along.T @ along / 50, torch.diag(spread.square()), rtol=1e-3, atol=1e-3)
    assert bool((spread.diff() <= 1e-6).all())


def test_from_few_windows_they_hold_more_of_unseen_ones_than_principal_components():
    few, unseen = windows(12), windows(2000, "unseen").flatten(1)

    def lost(separable: float) -> float:
        basis, _ = main_directions(few, GROUPS, 8, stream(0, "d"), separable)
        return float((unseen - unseen @ basis.T @ basis).square().mean())

    assert lost(0.6) < 0.85 * lost(0.0)
