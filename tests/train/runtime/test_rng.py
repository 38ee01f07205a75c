import threading

import pytest
import torch
from torch import nn

from metaopt.train.runtime.rng import KeyedDropout, Noise, keyed_dropout

CPU = torch.device("cpu")


def test_a_block_is_seeded_and_restores_the_default_generator():
    before = torch.get_rng_state()
    with Noise(7):
        first = torch.rand(3)
    assert torch.equal(torch.get_rng_state(), before)
    with Noise(7):
        assert torch.equal(torch.rand(3), first)


def test_the_next_block_continues_where_the_last_one_ended():
    with Noise(7):
        whole = torch.rand(6)
    noise = Noise(7)
    with noise:
        one = torch.rand(3)
    torch.rand(5)
    with noise:
        two = torch.rand(3)
    assert torch.equal(torch.cat([one, two]), whole)


def test_noise_knows_whether_it_was_used():
    noise = Noise(1)
    with noise:
        pass
    assert not noise.used
    with noise:
        torch.rand(1)
    assert noise.used


def test_a_failing_block_restores_and_unlocks():
    before = torch.get_rng_state()
    with pytest.raises(RuntimeError), Noise(1):
        torch.rand(2)
        raise RuntimeError
    assert torch.equal(torch.get_rng_state(), before)
    entered = threading.Event()

    def enter():
        with Noise(2):
            entered.set()

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join(10)
    assert entered.is_set()


@pytest.mark.parametrize("kind", [nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d])
def test_keyed_dropout_drops_a_fraction_p_and_scales_the_rest(kind):
    net = nn.Sequential(kind(0.25)).train()
    shape = {nn.Dropout: (50, 400), nn.Dropout1d: (200, 100, 3), nn.Dropout2d: (200, 100, 2, 2)}
    x = torch.ones(shape.get(kind, (200, 100, 2, 2, 2)))
    with keyed_dropout(net, 3, CPU):
        out = net(x)
    assert out.unique().tolist() == pytest.approx([0, 1 / 0.75])
    assert (out == 0).double().mean().item() == pytest.approx(0.25, abs=0.02)
    if kind is not nn.Dropout:  # a channel is dropped as a whole
        flat = out.flatten(2)
        assert torch.equal(flat.amin(2), flat.amax(2))


def test_masks_depend_on_seed_and_layer_and_not_on_the_default_generator():
    net = nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.5)).train()
    x = torch.ones(20, 20)

    def masks(seed):
        with keyed_dropout(net, seed, CPU):
            return net[0](x), net[1](x), net[0](x)

    before = torch.get_rng_state()
    first = masks(1)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(1)
    assert all(torch.equal(a, b) for a, b in zip(masks(1), first, strict=True))
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[0], first[2])
    assert not torch.equal(masks(2)[0], first[0])


def test_dropout_layers_are_restored_also_nested_and_shared():
    shared = nn.Dropout(0.5)
    net = nn.Sequential(shared, nn.Sequential(nn.Linear(2, 2), shared), nn.Dropout2d(0.1))
    layers = [net[0], net[1][1], net[2]]
    with keyed_dropout(net, 0, CPU):
        assert net[0] is net[1][1]
        assert all(isinstance(m, KeyedDropout) for m in (net[0], net[2]))
    assert [net[0], net[1][1], net[2]] == layers


def test_nothing_is_dropped_in_evaluation_and_everything_at_p_1():
    x = torch.ones(4, 4)
    layer = KeyedDropout(1.0, torch.Generator().manual_seed(0))
    assert not layer.train()(x).any()
    assert torch.equal(layer.eval()(x), x)
