"""A trained network asked about images: from the command line and over the page's own requests."""

import contextlib
import http.client
import io
import json
import math
import re
import shutil
import socket
import struct
import threading
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from experiments import mnist, xor
from experiments._drawing_server import make_server
from experiments._network import Network
from experiments._runs import read_run, trained_params
from functional_nets import data
from tests.experiments.conftest import images


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A network that tells in which row an image is bright."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "load", lambda *_, **__: images(200, 50))
        out = tmp_path_factory.mktemp("runs") / "mnist"
        config = mnist.Config(
            hidden=8, steps=120, batch_size=50, optimizer="adam", learning_rate=0.01, out=out, gradient_check=False
        )
        return mnist.run(config)


@pytest.fixture(scope="module")
def network(run):
    return Network(read_run(run.folder))


@pytest.fixture
def drawing(tmp_path):
    """A file with something drawn in it."""
    pixels = np.zeros((60, 60), np.uint8)
    pixels[10:50, 28:34] = 255
    path = tmp_path / "one.png"
    Image.fromarray(pixels).save(path)
    return path


def softmax_in_numpy(params, image):
    x = image.reshape(1, -1) / 255
    h = np.maximum(x @ params["dense1"]["w"] + params["dense1"]["b"], 0)
    logits = (h @ params["dense2"]["w"] + params["dense2"]["b"])[0]
    exponentials = np.exp(logits - logits.max())
    return h[0], exponentials / exponentials.sum()


def test_the_parameters_are_those_that_the_run_ended_with(run):
    jax.tree.map(np.testing.assert_array_equal, trained_params(read_run(run.folder)), jax.device_get(run.fit.params))


def test_probabilities_hidden_units_and_loss_are_those_of_the_formula(run, network):
    image = np.random.RandomState(0).randint(0, 256, (28, 28)).astype(np.uint8)
    hidden, probabilities = softmax_in_numpy(jax.device_get(run.fit.params), image)
    seen = network.look(image, 3)
    np.testing.assert_allclose(seen.probabilities, probabilities, atol=1e-5)
    np.testing.assert_allclose(seen.hidden["dense1"], hidden, atol=1e-5)
    assert seen.label == 3
    assert seen.loss == pytest.approx(-math.log(probabilities[3]), rel=1e-4)
    assert network.look(image).label == probabilities.argmax()


def test_the_gradient_by_pixel_is_the_slope_of_the_loss(run, network):
    image = np.random.RandomState(1).randint(50, 200, (28, 28)).astype(np.uint8)
    gradient = network.look(image, 2).gradient
    params = jax.tree.map(lambda leaf: np.asarray(leaf, float), jax.device_get(run.fit.params))
    for place in [(4, 4), (14, 20), (27, 0)]:
        moved = [image.astype(float) for _ in range(2)]
        moved[0][place] += 0.01
        moved[1][place] -= 0.01
        up, down = (-math.log(softmax_in_numpy(params, each)[1][2]) for each in moved)
        assert gradient[place] == pytest.approx((up - down) / 0.02 * 255, rel=0.02, abs=1e-5)


def test_the_command_prints_class_and_probabilities_of_each_image(command, run, drawing):
    ended = command("predict", run.folder, drawing, drawing)
    assert ended.status == 0, ended.err
    first, *bars = ended.out.splitlines()
    assert len(bars) == 21
    assert first.startswith(f"{drawing}: ")
    shares = [float(line.split()[-1].rstrip("%")) for line in bars[:10]]
    assert sum(shares) == pytest.approx(100, abs=0.6)
    best = max(range(10), key=shares.__getitem__)
    assert first == f"{drawing}: {best}, {shares[best]:.1f}%"
    assert [line.count("█") for line in bars[:10]] == pytest.approx([0.3 * share for share in shares], abs=0.6)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["{run}"], "Expected IMAGES or --serve, found neither"),
        (["{run}", "no.png"], "Expected to read no.png, found: No such file"),
        (["{run}", "{run}/config.json"], "config.json: Expected an image file"),
        (["{run}", "--serve", "--port", "65536"], "Expected --port from 0 to 65535, found 65536"),
        (["nowhere", "{drawing}"], "Expected the folder of a run"),
    ],
)
def test_bad_words_are_refused_in_one_line(command, run, drawing, words, found):
    ended = command("predict", *(word.format(run=run.folder, drawing=drawing) for word in words))
    assert ended.status == 2
    (line,) = ended.err.splitlines()
    assert found in line


@pytest.fixture(scope="module")
def xor_run(tmp_path_factory):
    """A run of XOR with two checkpoints."""
    out = tmp_path_factory.mktemp("runs") / "xor"
    return xor.run(xor.Config(steps=2000, out=out, gradient_check=False, checkpoint_every="1000")).folder


@pytest.fixture
def copied(xor_run, tmp_path):
    """A copy of that run, to be spoilt."""
    return Path(shutil.copytree(xor_run, tmp_path / "copy"))


def test_a_run_without_images_is_refused(command, xor_run, drawing):
    assert "Expected a run on images, found one of xor" in command("predict", xor_run, drawing).err


def test_a_run_that_has_not_ended_is_refused_with_what_to_do(command, copied):
    (copied / "result.json").unlink()
    ended = command("report", copied)
    assert ended.status == 2
    assert f"--out {copied} --resume" in ended.err


def test_a_checkpoint_that_is_not_of_the_runs_end_is_refused(command, copied):
    *_, newest = sorted((copied / "checkpoints").iterdir())
    newest.unlink()
    ended = command("report", copied)
    assert ended.status == 2
    assert "another moment" in ended.err


def test_the_training_that_the_surface_is_drawn_from_ends_in_the_runs_own_bits(xor_run):
    read = read_run(xor_run)
    *_, last = xor.replay(read.config)
    assert last.step == 2000
    (section,) = xor.sections(read.config, last.params)
    assert re.findall('data-step="2,000"', section.body) == ['data-step="2,000"']  # The last step is there once.
    jax.tree.map(np.testing.assert_array_equal, last.params, trained_params(read))


def test_records_that_are_no_runs_are_refused_in_one_line(command, copied):
    result = json.loads((copied / "result.json").read_text())
    (copied / "result.json").write_text(json.dumps({**result, "gradient_check": {"ok": True}}))
    ended = command("report", copied)
    assert ended.status == 2
    assert ended.err.startswith(f"Expected the records of a run in {copied}")
    assert len(ended.err.splitlines()) == 1


def test_a_report_is_made_again_to_the_same_bytes(command, xor_run, copied):
    (copied / "report.html").unlink()
    shutil.rmtree(copied / "pictures")
    ended = command("report", copied)
    assert ended.status == 0, ended.err
    for name in ("report.html", "pictures/surface.png"):
        assert (copied / name).read_bytes() == (xor_run / name).read_bytes()


@pytest.fixture(scope="module")
def server(network):
    """The page's server on a free port, and a function that asks it."""
    with make_server(network, "<run>", 0) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()

        def ask(method="POST", path="/look", body=b"", **headers):
            connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
            return answer.status, answer.headers, content

        ask.port, ask.address = server.server_port, server.server_address[0]
        yield ask
        server.shutdown()
        thread.join()


def test_the_server_listens_on_the_loopback_address_alone(server):
    assert server.address == "127.0.0.1"


def test_the_page_is_whole_and_allows_no_script_but_its_own(server):
    status, headers, content = server("GET", "/")
    assert status == 200
    page = content.decode()
    assert "&lt;run&gt;" in page
    assert "<run>" not in page
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]


def test_an_image_is_answered_with_what_the_network_sees(server, network, drawing):
    status, _, content = server("POST", "/look?label=4", drawing.read_bytes())
    assert status == 200
    answer = json.loads(content)
    image = np.array(answer["image"], np.uint8).reshape(28, 28)
    seen = network.look(image, 4)
    np.testing.assert_allclose(answer["probabilities"], seen.probabilities, atol=1e-5)
    np.testing.assert_allclose(answer["hidden"][0]["values"], seen.hidden["dense1"], atol=1e-4)
    gradient = np.array(answer["gradient"]).reshape(28, 28) * answer["limit"]
    np.testing.assert_allclose(gradient, seen.gradient, atol=1e-4 * answer["limit"] + 1e-9)
    assert answer["label"] == 4


def png(pixels):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("request_", "status", "found"),
    [
        ({"body": bytes(20 << 20)}, 413, "found 20.0 MB"),
        ({"body": b"broken"}, 400, "found 6 bytes that are none"),
        ({"body": b""}, 400, "found an empty file"),
        ({"body": png(np.zeros((50, 50), np.uint8))}, 400, "found a blank one"),
        ({"path": "/look?label=10"}, 400, "Expected a label from 0 to 9, found '10'"),
        ({"path": "/look?label=-1"}, 400, "found '-1'"),
        ({"path": "/elsewhere"}, 404, "found '/elsewhere'"),
        ({"method": "GET", "path": "/../../etc/passwd"}, 404, "Expected the page at /"),
        ({"Host": "127.0.0.1.evil.example"}, 421, "found '127.0.0.1.evil.example'"),
        ({"Host": "evil.example:80"}, 421, "found 'evil.example:80'"),
        ({"method": "GET", "path": "/", "Host": "evil.example"}, 421, "found 'evil.example'"),
        ({"Origin": "http://evil.example"}, 403, "found one of 'http://evil.example'"),
        ({"Content-Length": "many"}, 411, "Expected the length"),
        ({"path": "/look?label=000099"}, 400, "found '000099'"),
        ({"path": f"/look?label={'0' * 5000}"}, 400, "found '0000"),
        ({"method": "GET", "path": "HTTP://["}, 400, "Expected an address, found 'HTTP://['"),
        ({"method": "PUT", "path": "/"}, 405, "Expected GET, HEAD or POST, found 'PUT'"),
    ],
    ids=lambda value: next(iter(value.values()))[:20] if isinstance(value, dict) else None,
)
def test_what_is_not_the_pages_own_or_no_image_is_refused_with_a_reason(server, drawing, request_, status, found):
    got, headers, content = server(**{"body": drawing.read_bytes(), **request_})
    assert got == status
    assert found in json.loads(content)["error"]
    assert "default-src 'none'" in headers["Content-Security-Policy"]


def test_the_page_is_found_by_its_name_in_capitals_and_its_head_alone(server):
    status, headers, content = server("HEAD", "/", Host=f"LOCALHOST:{server.port}")
    assert (status, content) == (200, b"")
    assert int(headers["Content-Length"]) > 1000


def test_a_tab_closed_during_an_upload_leaves_no_traceback_in_the_terminal(server, capsys):
    for content in (b"", b"POST /look HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\npart"):
        with socket.create_connection(("127.0.0.1", server.port)) as closing:
            closing.sendall(content)
            closing.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # It ends by a reset.
    assert server("GET", "/")[0] == 200
    for thread in set(threading.enumerate()) - {threading.current_thread()}:
        if "process_request_thread" in thread.name:
            thread.join(60)
    assert capsys.readouterr().err == ""


def test_a_burst_of_connections_waits_its_turn(network):
    with make_server(network, "run", 0) as server, contextlib.ExitStack() as opened:
        for _ in range(100):  # Nobody is served yet.
            opened.enter_context(socket.create_connection(server.server_address, timeout=0.5))


def test_two_tabs_are_answered_at_once(server, drawing):
    """One says that it will send, and waits: the other does not wait for it."""
    slow = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    slow.putrequest("POST", "/look")
    content = drawing.read_bytes()
    slow.putheader("Content-Length", str(len(content)))
    slow.endheaders(content[:10])
    assert server(body=content)[0] == 200
    slow.send(content[10:])
    assert slow.getresponse().status == 200
    slow.close()


def test_a_port_in_use_is_refused_in_one_line(command, run, server):
    ended = command("predict", run.folder, "--serve", "--port", server.port)
    assert ended.status == 2
    assert f"found {server.port} in use" in ended.err
