"""Small apps to build and deploy: a consign.toml and the trees beside it. Their services are shell scripts that leave
their words in files, so most tests need no port."""
import json

# Says what it was told to, and its pid; then stays.
SERVE = '#!/bin/sh\nmkdir -p "$2"\necho "$1" > "$2/said"\necho $$ > "$2/pid"\necho "serving: $1"\nexec sleep 100000\n'
CHECK = '#!/bin/sh\ntest ! -e broken && exit 0\necho "the disk is upside down"\nexit 1\n'


def toml(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + " }"
    return json.dumps(value)


def service(text="{{ inputs.greeting }}", within_s=5, **more):
    """The `run` of a component that serves `text`."""
    return {"service": ["./serve", text, "{{ install.data }}"], "health": {"command": ["./check"], "within_s": within_s}, **more}


def component(run=None, depends_on=(), source=None, files=None, **more):
    """`more`: other keys of the component, such as approval."""
    return {"run": service() if run is None else run, "depends_on": list(depends_on), "source": source, "more": more,
            "files": {"serve": SERVE, "check": CHECK, **(files or {})}}


def write_tree(directory, files):
    """Files that begin with #! become executable."""
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755 if text.startswith("#!") else 0o644)


def write_app(directory, app, components, inputs=None):
    """Writes consign.toml and a directory per component; returns the path of consign.toml."""
    lines = [f'app = "{app}"']
    for name, declared in (inputs or {"greeting": {"default": "hello"}}).items():
        lines.append(f"[inputs.{name}]")
        lines += [f"{key} = {toml(value)}" for key, value in declared.items()]
    for name, part in components.items():
        lines += ["[[component]]", f'name = "{name}"', 'type = "bundle"', f"source = {toml(part['source'] or f'./{name}')}"]
        lines += [f"{key} = {toml(value)}" for key, value in part["more"].items()]
        if part["depends_on"]:
            lines.append(f"depends_on = {toml(part['depends_on'])}")
        if part["run"]:
            lines.append("[component.run]")
            lines += [f"{key} = {toml(value)}" for key, value in part["run"].items()]
        if not part["source"]:
            write_tree(directory / name, part["files"])
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "consign.toml"
    file.write_text("\n".join(lines) + "\n")
    return file


def publish(world, directory, app, version, components=None, inputs=None):
    """Applies (if `components` are given, writes them first), builds in CI mode and releases."""
    if components:
        write_app(directory, app, components, inputs)
    file = directory / "consign.toml"
    world.api("PUT", f"/v1/apps/{app}", {"toml": file.read_text()})
    world.consign("build-agent", "build", app, "--source", directory)
    return world.api("POST", f"/v1/apps/{app}/releases", {"version": version}).json
