"""A version is verified from outside, before anything of it runs."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from tests.project import run

from atelier.errors import UserError
from atelier.registry import signing, versions
from atelier.registry.store import Store

NAME = "faces-gan-tiny"


@pytest.fixture
def champion(published: Store) -> versions.Version:
    return versions.find(published, f"{NAME}@champion")


@pytest.fixture
def keys(tmp_path: Path) -> Callable[[str], tuple[Path, Path]]:
    """A pair of files, private and public, by its name."""

    def pair(name: str) -> tuple[Path, Path]:
        private = ed25519.Ed25519PrivateKey.generate()
        return write(tmp_path / name, private)

    return pair


def write(path: Path, private: ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey) -> tuple[Path, Path]:
    public = path.with_suffix(".pub")
    path.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        )
    )
    public.write_bytes(
        private.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
    )
    return path, public


def test_a_version_as_it_was_packed_is_verified(
    published: Store, champion: versions.Version
) -> None:
    found = signing.verify(published, champion)
    assert (found.digest, found.code_digest) == champion.digests
    assert found.code_is_ours
    assert found.signed_by == ""


def test_a_signature_is_that_of_one_key_and_one_model(
    published: Store, champion: versions.Version, keys: Callable[[str], tuple[Path, Path]]
) -> None:
    (private, public), (_, stranger) = keys("team"), keys("stranger")
    with pytest.raises(UserError, match="is not signed"):
        signing.verify(published, champion, [public])
    signing.sign(published, champion, private)
    signed = versions.find(published, f"{NAME}@champion")
    assert signing.verify(published, signed, [stranger, public]).signed_by == str(public)
    with pytest.raises(UserError, match="signed by none of these keys"):
        signing.verify(published, signed, [stranger])
    # Another version with the same words has no signature of its own.
    text = signed.tags[signing.SIGNATURE_TAG]
    published.client.set_model_version_tag(NAME, "1", signing.SIGNATURE_TAG, text)
    with pytest.raises(UserError, match="signed by none of these keys"):
        signing.verify(published, versions.version(published, NAME, "1"), [public])
    published.client.set_model_version_tag(NAME, "2", signing.SIGNATURE_TAG, "no base 64")
    with pytest.raises(UserError, match="signed by none of these keys"):
        signing.verify(published, versions.version(published, NAME, "2"), [public])


def other_code(model: Path) -> None:
    (model / "bundle_model.py").write_text("print('ran')\n")


def both_codes(model: Path) -> None:
    for path in model.rglob("bundle_model.py"):
        path.write_text("print('ran')\n")


def pickle_flavor(model: Path) -> None:
    edited(model / "MLmodel", "model_code_path: bundle_model.py", "python_model: model.pkl")


def other_loader(model: Path) -> None:
    edited(model / "MLmodel", "mlflow.pyfunc.loaders.code_model", "mlflow.sklearn")


def second_flavor(model: Path) -> None:
    edited(model / "MLmodel", "flavors:\n", "flavors:\n  sklearn: {}\n")


def a_file_more(model: Path) -> None:
    (model / "code").mkdir()
    (model / "code" / "sitecustomize.py").write_text("")


def other_packages(model: Path) -> None:
    with (model / "requirements.txt").open("a") as file:
        file.write("\nleftpad==1.0\n")


def an_address(model: Path) -> None:
    (model / "requirements.txt").write_text("torch @ https://example.org/torch.whl\n")


def conda_packages(model: Path) -> None:
    edited(model / "conda.yaml", "- pip:", "- leftpad\n- pip:")


def python_packages(model: Path) -> None:
    edited(model / "python_env.yaml", "- -r requirements.txt", "- -r requirements.txt\n- ./code")


def no_yaml(model: Path) -> None:
    (model / "MLmodel").write_text("[" * 5000)


def other_weights(model: Path) -> None:
    (next(model.rglob("generator.pt2"))).write_bytes(b"other")


def edited(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("harm", "problem"),
    [
        (other_code, "that MLflow runs is not the bundle's"),
        (both_codes, "not the file that was packed"),
        (pickle_flavor, "names other code to run"),
        (other_loader, "names other code to run"),
        (second_flavor, "names other code to run"),
        (a_file_more, r"sitecustomize\.py was never packed"),
        (other_packages, "requires other packages"),
        (an_address, "requires other packages"),
        (conda_packages, r"requires other packages \(leftpad\)"),
        (python_packages, r"requires other packages \(\./code\)"),
        (no_yaml, "cannot be read"),
        (other_weights, "not the file that was packed"),
    ],
)
def test_what_was_changed_after_packing_is_told(
    published: Store, champion: versions.Version, harm: Callable[[Path], None], problem: str
) -> None:
    harm(Path(champion.source))
    with pytest.raises(UserError, match=problem):
        signing.verify(published, champion)


def test_a_whole_other_bundle_in_its_place_is_told(
    published: Store, champion: versions.Version
) -> None:
    other = versions.version(published, NAME, "1")
    shutil.rmtree(champion.source)
    shutil.copytree(other.source, champion.source)
    with pytest.raises(UserError, match="holds another bundle than its tags name"):
        signing.verify(published, champion)


def test_keys_that_are_none(published: Store, champion: versions.Version, tmp_path: Path) -> None:
    _, other_kind = write(tmp_path / "rsa", rsa.generate_private_key(65537, 2048))
    for key in (tmp_path / "nowhere", tmp_path, other_kind, Path(__file__)):
        with pytest.raises(UserError, match=r"key"):
            signing.verify(published, champion, [key])
        with pytest.raises(UserError, match=r"key"):
            signing.sign(published, champion, key)


@pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="needs ssh-keygen")
def test_keys_as_ssh_keygen_makes_them_serve_the_commands(published: Store, tmp_path: Path) -> None:
    key = tmp_path / "team"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    here = Path.cwd()
    said = run(here, "atelier", "registry", "verify", f"{NAME}@champion")
    assert "every byte as it was packed" in said
    assert "none" in said
    run(here, "atelier", "registry", "sign", f"{NAME}@champion", "--key", str(key))
    said = run(here, "atelier", "registry", "verify", f"{NAME}@champion", "--key", f"{key}.pub")
    assert f"{key}.pub" in said
    assert "is not signed" in run(
        here, "atelier", "registry", "verify", f"{NAME}/1", "--key", f"{key}.pub", code=2
    )
