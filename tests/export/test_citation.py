"""CITATION.cff follows version 1.2.0 of the Citation File Format, field by field."""

import re

import yaml

from dmix import __version__
from project import ROOT

# Fields by the format's schema: of a file, of a reference (those used here), of a person, of an entity.
TOP = {
    *("abstract", "authors", "cff-version", "commit", "contact", "date-released", "doi", "identifiers"),
    *("keywords", "license", "license-url", "message", "preferred-citation", "references", "repository"),
    *("repository-artifact", "repository-code", "title", "type", "url", "version"),
}
REFERENCE = {"type", "title", "authors", "year", "url", "doi", "identifiers", "notes", "journal"}
PERSON = {"family-names", "given-names", "name-particle", "name-suffix", "orcid", "affiliation", "email"}
ENTITY = {"name", "address", "city", "website", "email", "orcid"}
IDENTIFIER = {"type", "value", "description"}


def citation():
    return yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


def test_required_and_known_fields():
    found = citation()
    assert {"cff-version", "message", "title", "authors"} <= set(found) <= TOP
    assert found["cff-version"] == "1.2.0"
    assert found["type"] in ("software", "dataset")
    assert all(isinstance(word, str) for word in found["keywords"])
    assert len(set(found["keywords"])) == len(found["keywords"])


def test_it_is_of_this_version_and_licence():
    found = citation()
    assert str(found["version"]) == __version__
    assert f'license = "{found["license"]}"' in (ROOT / "pyproject.toml").read_text()


def test_authors_are_persons_or_entities():
    papers = citation()["references"]
    for author in [*citation()["authors"], *(author for paper in papers for author in paper["authors"])]:
        assert set(author) <= (ENTITY if "name" in author else PERSON), author
        assert all(isinstance(value, str) and value for value in author.values())


def test_the_paper_is_among_the_references():
    (paper,) = [item for item in citation()["references"] if "Decoupled Mixup" in item["title"]]
    assert {"type", "title", "authors"} <= set(paper) <= REFERENCE
    assert paper["type"] == "article"
    assert isinstance(paper["year"], int)
    assert re.match(r"https://", paper["url"])
    for identifier in paper["identifiers"]:
        assert set(identifier) <= IDENTIFIER
        assert identifier["type"] in ("doi", "url", "swh", "other")
