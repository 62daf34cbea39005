"""Other training seeds: kept as DVC experiments, trained once, and told apart from chance."""

import json
import shutil
import sys
from statistics import mean, stdev

import pytest
from tests.project import ROOT, contents, copy_shipped, git, run

from atelier.errors import UserError
from atelier.evaluation.report import flatten
from atelier.operations import seeds
from atelier.operations.staleness import Step
from atelier.schema import read_yaml
from atelier.spread import LOCK, resting_on, spread_of

KID, WITNESS = "judge/kid", "witness/kid"


def lock(seed=1, source="a", judge="j", metrics="m"):
    """What dvc.lock says of faces-gan at laptop scale."""
    folder = "artifacts/laptop/faces-gan"
    file = "experiments/laptop/faces-gan.yaml"
    made = {one: {"path": f"{folder}/{one}", "md5": f"{one}{seed}"} for one in ("train", "bundle")}
    return {
        "stages": {
            "train@faces-gan": {
                "cmd": "atelier train faces-gan",
                "deps": [{"path": "src/loop.py", "md5": source}],
                "params": {file: {"training": {"seed": seed, "images": 9}, "model": {"seed": 0}}},
                "outs": [made["train"]],
            },
            "bundle@faces-gan": {
                "cmd": "atelier bundle faces-gan",
                "deps": [made["train"], {"path": "artifacts/laptop/celeba/judge", "md5": judge}],
                "outs": [made["bundle"]],
            },
            "evaluate@faces-gan": {
                "cmd": "atelier evaluate faces-gan",
                "deps": [made["bundle"]],
                "outs": [{"path": f"{folder}/metrics.json", "md5": metrics}],
            },
        }
    }


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """One commit of what ships, whose own figures DVC would call up to date."""
    copy_shipped(tmp_path)
    git(tmp_path, "init", "--quiet")
    keep_lock(tmp_path, lock())
    commit(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(seeds, "steps_of_all", lambda names, *_: {name: [] for name in names})
    monkeypatch.setattr(seeds.dvc, "try_out", lambda *_: pytest.fail("nothing is to be trained"))
    return tmp_path


def keep_lock(folder, words):
    (folder / "dvc.lock").write_text(json.dumps(words))


def commit(folder):
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", "t")


def put_metrics(kid):
    path = seeds.Paths("laptop").metrics("faces-gan")
    path.parent.mkdir(parents=True, exist_ok=True)
    figures = {"kid": kid, "kid_standard_error": 0.004}
    path.write_text(json.dumps({"judge": figures}))


def pretend_to_train(folder, seed, kid, **changed):
    """Leaves what DVC leaves of an experiment, and the workspace as it was."""
    own = seeds._own("faces-gan", "laptop", read_yaml(LOCK))
    keep_lock(folder, lock(seed, **changed))
    put_metrics(kid)
    git(folder, "add", "--all", "--force")
    tree = git(folder, "write-tree").strip()
    made = git(folder, "commit-tree", tree, "-p", "HEAD", "-m", "dvc: an experiment").strip()
    git(folder, "update-ref", f"refs/exps/12/34/{own.trial(seed)}", made)
    git(folder, "reset", "--hard", "--quiet")
    return made


def test_what_is_trained_is_compared_and_not_trained_again(repository):
    made = [pretend_to_train(repository, seed, kid) for seed, kid in ((2, 0.03), (3, 0.05))]
    put_metrics(0.04)
    (spread,) = seeds.compare_seeds(["faces-gan"], [1, 2, 3])
    assert spread.trained == {2: made[0], 3: made[1]}
    figure = spread.figures[KID]
    assert figure.name == "KID (judge)"
    assert figure.values == {1: 0.04, 2: 0.03, 3: 0.05}
    assert figure.mean == pytest.approx(mean((0.03, 0.04, 0.05)))
    assert figure.deviation == pytest.approx(stdev((0.03, 0.04, 0.05))) == pytest.approx(0.01)
    assert (figure.lowest, figure.highest, figure.sampling_error) == (0.03, 0.05, 0.004)
    assert spread_of("faces-gan", "laptop") == spread


def test_a_spread_of_other_figures_is_none(repository):
    pretend_to_train(repository, 2, 0.03)
    put_metrics(0.04)
    assert spread_of("faces-gan", "laptop") is None
    seeds.compare_seeds(["faces-gan"], [2])
    assert spread_of("faces-gan", "laptop")
    for changed in ({"source": "b"}, {"judge": "k"}, {"metrics": "n"}):
        keep_lock(repository, lock(**changed))
        assert spread_of("faces-gan", "laptop") is None, changed
    LOCK.unlink()
    assert spread_of("faces-gan", "laptop") is None
    keep_lock(repository, lock())
    assert spread_of("faces-gan", "laptop")
    seeds.Paths("laptop").seeds("faces-gan").write_text('{"experiment": ')
    assert spread_of("faces-gan", "laptop") is None


def test_only_the_training_seed_does_not_count():
    same = resting_on(lock(), "faces-gan")
    assert resting_on(lock(seed=2), "faces-gan") == same
    assert len({resting_on(lock(**{key: "z"}), "faces-gan") for key in ("source", "judge")}) == 2
    assert same not in {resting_on(lock(**{key: "z"}), "faces-gan") for key in ("source", "judge")}
    other = lock()
    file = other["stages"]["train@faces-gan"]["params"]["experiments/laptop/faces-gan.yaml"]
    file["model"]["seed"] = 1
    assert resting_on(other, "faces-gan") != same
    assert resting_on({}, "faces-gan") is None


def test_a_trial_of_other_code_is_trained_again(repository, monkeypatch):
    pretend_to_train(repository, 2, 0.03, source="edited while DVC copied it")
    put_metrics(0.04)
    asked = []
    monkeypatch.setattr(seeds.dvc, "try_out", lambda runs, places: asked.append((runs, places)))
    with pytest.raises(
        seeds.AtelierError, match=r"faces-gan-laptop-seed-2-\w{8}: is not there, or"
    ):
        seeds.compare_seeds(["faces-gan"], [1, 2])
    (((words,), (place,)),) = asked
    assert words[-1] == "evaluate@faces-gan"
    assert "experiments/laptop/faces-gan.yaml:training.seed=2" in words
    assert place["PYTHONPATH"] == "src"


def test_two_are_trained_at_once_each_on_its_share(repository, monkeypatch):
    put_metrics(0.04)
    shares = []

    def train(runs, places):
        shares.extend(places)
        for seed in (2, 3, 4):
            pretend_to_train(repository, seed, 0.03)
        put_metrics(0.04)

    monkeypatch.setattr(seeds.dvc, "try_out", train)
    (spread,) = seeds.compare_seeds(["faces-gan"], [2, 3, 4], jobs=2)
    assert len(spread.trained) == 3
    assert [share["ATELIER_CPU_SHARE"] for share in shares] == ["0", "1"]


@pytest.mark.parametrize(
    ("experiments", "numbers", "said"),
    [
        (["faces-gam"], [2], r"^experiment: unknown.*faces-gam.*Did you mean faces-gan\?"),
        (["faces-gan", "faces-gan"], [2], r"^EXPERIMENT: faces-gan is named twice\. "),
        (["faces-gan"], [2, 3, 2], r"^--seeds: 2 is named twice\. Name each once\.$"),
        (["faces-gan"], [1], r"^--seeds: names only 1, which faces-gan is trained with already\. "),
    ],
)
def test_what_cannot_be_compared_is_one_line(repository, experiments, numbers, said):
    with pytest.raises(UserError, match=said):
        seeds.compare_seeds(experiments, numbers)


@pytest.mark.parametrize("given", ["", "2,", "1.5", "-1", "two", "٣", str(2**63)])
def test_a_seed_is_a_whole_number(repository, given):
    from atelier.cli.seeds import _numbers

    with pytest.raises(UserError, match=r"^--seeds: no whole numbers from 0 on \(got"):
        _numbers(given)


def test_without_a_commit_nothing_is_trained(repository):
    shutil.rmtree(repository / ".git")
    with pytest.raises(UserError, match=r"^git: there is no commit, and DVC keeps experiments"):
        seeds.compare_seeds(["faces-gan"], [2])


def test_what_git_does_not_know_would_be_left_out_and_what_is_changed_goes_along(repository):
    (repository / "src").mkdir()
    (repository / "src/new.py").touch()
    with pytest.raises(UserError, match=r"^src/new\.py: Git does not know it, .* Run git add"):
        seeds.compare_seeds(["faces-gan"], [2])
    git(repository, "add", "src/new.py")
    pretend = pytest.raises(UserError, match="names only 1")
    said = []
    with pretend:
        seeds.compare_seeds(["faces-gan"], [1], tell=said.append)
    assert said == ["seeds: what is not committed goes along: src/new.py"]


def test_figures_of_yesterday_are_not_compared_with_todays(repository, monkeypatch):
    stale = ("train", ("src/loop.py modified",)), ("register", ("x",)), ("report", ("x",))
    steps = [Step(f"{stage}@faces-gan", reasons) for stage, reasons in stale]
    monkeypatch.setattr(seeds, "steps_of_all", lambda *_: {"faces-gan": steps})
    said = r"^faces-gan: its own figures are not today's \(train@faces-gan: src/loop.py modified\)"
    with pytest.raises(UserError, match=said):
        seeds.compare_seeds(["faces-gan"], [2])
    monkeypatch.setattr(seeds, "steps_of_all", lambda *_: {"faces-gan": steps[1:]})
    with pytest.raises(UserError, match="names only 1"):  # what is not registered is no matter
        seeds.compare_seeds(["faces-gan"], [1])


@pytest.mark.slow
def test_each_seed_is_an_experiment_of_dvcs(project):
    commit(project)
    before = [contents(project / folder) for folder in ("artifacts", "src", "experiments")]
    head, versions = git(project, "rev-parse", "HEAD"), run(project, "atelier", "registry", "list")
    words = ("atelier", "seeds", "numbers", "faces-gan", "--seeds", "1,7", "--json")
    said = run(project, *words)
    found = json.loads(said[said.index("\n[\n") + 1 :])
    for spread in found:
        name = spread["experiment"]
        own = json.loads((project / f"artifacts/tiny/{name}/metrics.json").read_text())
        for key, figure in spread["figures"].items():
            assert figure["values"]["1"] == flatten(own)[key]
        assert any(one["between_seeds"] > 0 for one in spread["figures"].values())
        (project / f"artifacts/tiny/{name}/seeds.json").unlink()
    assert [contents(project / folder) for folder in ("artifacts", "src", "experiments")] == before
    assert git(project, "status", "--porcelain") == ""
    assert git(project, "rev-parse", "HEAD") == head
    assert run(project, "atelier", "registry", "list") == versions
    again = run(project, *words)
    assert json.loads(again) == found, "and nothing was trained"
    shown = run(project, "dvc", "exp", "show", "--csv")
    (trial,) = git(
        project, "for-each-ref", "--format=%(refname:lstrip=4)", "refs/exps/*/*/numb*"
    ).split()
    assert trial in shown
    run(project, "dvc", "exp", "branch", trial, "kept")
    run(project, "dvc", "exp", "apply", trial)
    assert read_yaml(project / "experiments/tiny/numbers.yaml")["training"]["seed"] == 7
    assert (project / "artifacts/tiny/numbers/bundle/bundle.json").exists()
    script = str(ROOT / "benchmarks" / "other_judges.py")
    options = ("--scale", "tiny", "--seeds", "5", "--training-seed", "7", "--out", "found.json")
    run(project, "git", "checkout", "--force", "--quiet", "HEAD")
    run(project, "dvc", "checkout", "--force", "--allow-missing")
    run(project, sys.executable, script, "faces-gan", *options)
    judged = json.loads((project / "found.json").read_text())["faces-gan"]["witness"]["kid"]
    (of_faces,) = (one for one in found if one["experiment"] == "faces-gan")
    assert judged == pytest.approx(of_faces["figures"][WITNESS]["values"]["7"], abs=1e-4)
