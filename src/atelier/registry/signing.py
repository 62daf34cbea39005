"""Is a version what was packed, and who says so: digests, and the signature of a team's key.

Whoever loads a version by MLflow runs the one code file in it before any check of that file's own;
so what MLflow is told to run is looked at here, from outside. Keys are Ed25519 in OpenSSH's form,
as `ssh-keygen -t ed25519` makes them (RFC 8032).
"""

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_ssh_private_key, load_ssh_public_key

from atelier.bundle import bundle_model
from atelier.bundle.bundle_model import CODE, Refused, check_bundle, code_digest_of, read_member
from atelier.errors import UserError
from atelier.registry import loading, packaging
from atelier.registry.store import Store
from atelier.registry.versions import Version

SIGNATURE_TAG = "signature"
BESIDE = {"MLmodel", CODE, "conda.yaml", "python_env.yaml", "requirements.txt"}
"""What lies beside the bundle in a version's folder."""
PACKAGE = re.compile(
    rf"({'|'.join(packaging.REQUIREMENTS)}|python|pip|setuptools|wheel)((==|<=|=)[\w.+]+)?"
    r"|-r requirements\.txt|conda-forge|mlflow-env|[\d.]+"
)
"""What an environment for it is made of."""
RUNS = {"loader_module": "mlflow.pyfunc.loaders.code_model", "model_code_path": CODE, "code": None}
"""What MLflow is told to run: the one code file, and nothing else."""


@dataclass(frozen=True)
class Verified:
    """A version that is what was packed."""

    digest: str
    code_digest: str
    code_is_ours: bool
    """The code that it ships is that of this Atelier, byte by byte."""
    signed_by: str
    """The file of the key that signed it; empty where no key was asked for."""


def verify(store: Store, version: Version, keys: Sequence[Path] = ()) -> Verified:
    """Looks at every byte of a version; runs nothing of it.

    Args:
        keys: public keys, of which one has to have signed it.

    Raises:
        UserError: it is not what was packed, MLflow is told to run something else, or it is not
            signed by any of these keys.
    """
    bundle = loading.fetch(store, version)
    try:
        manifest = check_bundle(bundle)
    except Refused as refusal:
        raise UserError(version, str(refusal), "Do not load it.") from None
    digests = manifest["digest"], code_digest_of(manifest)
    if digests != version.digests:
        raise UserError(version, "holds another bundle than its tags name", "Do not load it.")
    if bundle.parent.name == "artifacts":
        _check_model(version, bundle.parents[1], digests[1])
    ours = bundle_model.sha256(Path(bundle_model.__file__).read_bytes())
    signed_by = _signer(version, keys) if keys else ""
    return Verified(*digests, digests[1] == ours, signed_by)


def sign(store: Store, version: Version, key: Path) -> None:
    """Signs what a version holds, by a tag of it; first it is verified.

    Raises:
        UserError: it is not what was packed, or the key cannot be read.
    """
    verify(store, version)
    try:
        private = load_ssh_private_key(read_member(key), password=None)
    except (Refused, ValueError, TypeError, UnsupportedAlgorithm) as error:
        remedy = "An Ed25519 key without a passphrase: ssh-keygen -t ed25519 -N '' -f FILE"
        raise UserError(key, f"no private key that can be read ({error})", remedy) from None
    if not isinstance(private, Ed25519PrivateKey):
        raise UserError(key, "another kind of key than Ed25519", "ssh-keygen -t ed25519 makes one.")
    text = base64.b64encode(private.sign(_message(version))).decode()
    store.client.set_model_version_tag(version.name, version.number, SIGNATURE_TAG, text)


def _message(version: Version) -> bytes:
    """What is signed: a name and both digests, so that no signature serves another model."""
    return "\n".join(("atelier bundle", version.name, *version.digests, "")).encode()


def _signer(version: Version, keys: Sequence[Path]) -> str:
    publics = [(path, _public(path)) for path in keys]
    if not (text := version.tags.get(SIGNATURE_TAG)):
        remedy = f"Whoever has the team's key: atelier registry sign {version} --key FILE"
        raise UserError(version, "is not signed", remedy)
    for path, public in publics:
        try:
            public.verify(base64.b64decode(text, validate=True), _message(version))
        except (InvalidSignature, binascii.Error):
            continue
        return str(path)
    raise UserError(version, "is signed by none of these keys", "Do not load it.")


def _public(path: Path) -> Ed25519PublicKey:
    try:
        public = load_ssh_public_key(read_member(path))
    except (Refused, ValueError, UnsupportedAlgorithm) as error:
        remedy = "The .pub file that ssh-keygen wrote."
        raise UserError(path, f"no public key that can be read ({error})", remedy) from None
    if not isinstance(public, Ed25519PublicKey):
        raise UserError(
            path, "another kind of key than Ed25519", "ssh-keygen -t ed25519 makes one."
        )
    return public


def _check_model(version: Version, folder: Path, code: str) -> None:
    """The folder around the bundle, which MLflow reads: it runs the bundle's code, no other."""
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}
    strange = sorted(name for name in found - BESIDE if not name.startswith(f"{packaging.INSIDE}/"))
    if strange:
        raise _not_packed(version, f"{strange[0]} was never packed")
    try:
        if bundle_model.sha256(read_member(folder / CODE)) != code:
            raise _not_packed(version, f"the {CODE} that MLflow runs is not the bundle's")
        words = yaml.safe_load(read_member(folder / "MLmodel"))
        flavors = dict(words["flavors"])
        python = dict(flavors.pop("python_function"))
        wanted = read_member(folder / "requirements.txt").decode().split()
        for name in ("conda.yaml", "python_env.yaml"):
            wanted += _words(yaml.safe_load(read_member(folder / name)))
    except Refused as refusal:
        raise _not_packed(version, str(refusal)) from None
    except (yaml.YAMLError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise _not_packed(version, "what MLflow is to run cannot be read") from None
    if flavors or {key: python.get(key, "missing") for key in RUNS} != RUNS:
        raise _not_packed(version, "its MLmodel names other code to run")
    others = [word for word in wanted if not PACKAGE.fullmatch(word)]
    if others:
        raise _not_packed(version, f"requires other packages ({', '.join(others)[:80]})")


def _words(document: object) -> list[str]:
    """Every text of a document but its keys."""
    if isinstance(document, dict):
        return [word for inner in document.values() for word in _words(inner)]
    if isinstance(document, list):
        return [word for inner in document for word in _words(inner)]
    return [str(document)]


def _not_packed(version: Version, problem: str) -> UserError:
    return UserError(version, problem, "Do not load it.")
