"""Files changed by chance: in their bytes, and in the structure that the bytes stand for."""

import gzip
import io
import json
import re
import struct
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import h5py
import numpy as np

HUGE = (0, 1, 127, 128, 255, 256, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1)
HARMFUL_TEXTS = ("", "\x1b[31m", "a\nb", "x" * 5000, "\u202eabc", "[bold]", "[/]", "\x00", "é" * 300, "../..", "\x9b2J")
YAML_VALUES = (
    *("2001-02-30", "2001-02-03", "2001-02-03 04:05:06 +99:99", "!!int abc", "!!float abc"),
    *("!!bool 3", "!!timestamp x"),
    *("!!binary aGk=", "!!binary '*'", "!!set {a, b}", "!!omap [a]", "!!pairs [a: 1]", "!!null x"),
    *("!!seq a", "!!map [a]"),
    *("!!python/object/apply:os.getcwd []", "!own x", "*entry", "*none", "&entry [*entry]"),
    *("&a {a: *a}", "~", "''", "-"),
    *(".inf", "-.inf", ".nan", "1e999", "1e308", "-1", "0", "0.5", "1" * 30, "1" * 5000),
    *("0x" + "f" * 4000, "1:" * 900 + "1"),
    *("yes", "[]", "{}", "[[]]", "{a: {}}", "{? [a] : b}", "{<<: *entry}", "{<<: 3}", "{<<: [1]}"),
    *("[1, 2, 3, 4, 5, 6]"),
    *("[" * 200 + "]" * 200, "[" * 5000, "{a: " * 400 + "}" * 400, "- " * 300 + "a", '"\\uD800"'),
    *('"\\x1b[2J"', "'\x07'"),
    *("x" * 5000, "é" * 500, "\t", "%TAG", "---", "...", "|", ">", "@", "`", "!", "&", "*", ": :", "? ?", "#", "null"),
)  # fmt: skip


def mutate(kind: str, content: bytes, random: Random) -> bytes:
    """`content`, a file of that kind, changed in its bytes or, as often, in what they stand for."""
    structure = STRUCTURES.get(kind)
    if structure is None or random.random() < 0.25:
        return change_bytes(content, random)
    return structure(content, random)


def change_bytes(content: bytes, random: Random) -> bytes:
    """Flipped bits, bytes that are left out, inserted, doubled, moved or extreme, and ends that are cut off."""
    data = bytearray(content)
    for _ in range(random.choice([1, 1, 2, 5, 20])):
        place, length = random.randrange(len(data) + 1), random.choice([1, 2, 4, 8, random.randrange(1, 200)])
        match random.randrange(9):
            case 0 if data:
                data[place % len(data)] ^= 1 << random.randrange(8)
            case 1:
                del data[place:]
            case 2:
                data[place:place] = random.randbytes(length)
            case 3:
                data[place:place] = data[place : place + length]
            case 4:
                del data[place : place + length]
            case 5:
                data[place : place + length] = bytes([random.choice([0, 255])]) * length
            case 6:
                size, order = random.choice([1, 2, 4, 8]), random.choice(["little", "big"])
                data[place : place + size] = (random.choice(HUGE) % (1 << 8 * size)).to_bytes(size, order)
            case 7:
                start = random.randrange(len(data) + 1)
                data[place : place + length] = data[start : start + length]
            case 8 if data:
                data[place % len(data)] = random.choice([0, 1, 9, 10, 27, 34, 44, 58, 91, 93, 123, 125, 127, 128, 255])
    return bytes(data)


def change_json(content: bytes, random: Random) -> bytes:
    """A value replaced, left out or added somewhere, a key doubled, or JSON that is none."""
    if random.random() < 0.15:
        return _strange_json(content, random)
    root = [json.loads(content)]
    for _ in range(random.choice([1, 1, 1, 2, 4])):
        holder, key = random.choice(_places(root))
        match random.randrange(12):
            case 0 if holder is not root:
                del holder[key]
            case 1:
                other, taken = random.choice(_places(root))
                holder[key] = json.loads(json.dumps(other[taken]))
            case 2 if isinstance(holder, dict):
                holder[random.choice(HARMFUL_TEXTS)] = _value(random)
            case 3 if isinstance(holder, list) and holder is not root:
                holder.insert(key, _value(random))
            case 4 | 5:
                holder[key] = _value(random)
            case _:
                holder[key] = _akin(holder[key], random)
    return json.dumps(root[0]).encode()


def _places(root: Any) -> list[tuple[Any, Any]]:
    """Every value below `root`, as what holds it and under which key."""
    found = []
    todo = [root]
    while todo:
        holder = todo.pop()
        for key, value in list(holder.items() if isinstance(holder, dict) else enumerate(holder)):
            found.append((holder, key))
            if isinstance(value, dict | list):
                todo.append(value)
    return found


def _value(random: Random) -> Any:
    nested: Any = []
    for _ in range(random.choice([2, 50, 500])):
        nested = [nested]
    numbers = (*HUGE, -1, -(2**63), 10**300, 0.5, -0.0, 1e308, 5e-324, float("nan"), float("inf"), True)
    texts = (*HARMFUL_TEXTS, "\ud800", "1", "name")
    return random.choice([random.choice(numbers), random.choice(texts), None, [], {}, nested, [0] * 3, {"a": 1}])


def _akin(value: Any, random: Random) -> Any:
    """Another value of the same type, so that a schema lets it pass."""
    match value:
        case bool():
            return not value
        case int():
            return random.choice([*HUGE[:13], value + 1, value - 1, 2, 3, -value])
        case float():
            return random.choice([0.0, 1.0, -value, 1e308, 5e-324, value * 1e9, 0.5])
        case str():
            return random.choice([*HARMFUL_TEXTS, value[:-1], value + "x", "input", "name"])
        case list():
            return random.choice([[], value[1:], value[:-1], value + value[:1], value[::-1], value * 2])
        case dict():
            return dict(random.sample(sorted(value.items()), len(value)))
    return random.choice([None, 0, "", 0.5])


def _strange_json(content: bytes, random: Random) -> bytes:
    text = content.decode()
    deep = random.choice([100, 900, 20_000])
    strange = (
        "[" * deep,
        "[" * deep + "]" * deep,
        '{"a":' * deep,
        "1e999",
        "1" * 5000,
        "-" + "9" * 300,
        "NaN",
        '"\\ud800"',
    )
    key = text.find('":')
    start = text.find('"')
    doubled = text[:start] + text[start : key + 2] + " 1, " + text[start:]
    colon = random.choice([place for place, letter in enumerate(text) if letter == ":"] or [0])
    return random.choice([*strange, doubled, text[: colon + 1] + random.choice(strange) + text[colon + 1 :]]).encode()


def change_yaml(content: bytes, random: Random) -> bytes:
    """A value replaced by one of the odder ones, a line moved, or a bomb of aliases."""
    text = content.decode()
    if random.random() < 0.1:
        width, levels = random.choice([2, 9, 40]), random.choice([4, 9, 25])
        opening, item, closing = random.choice([("[", "*{}", "]"), ("{<<: [", "*{}", "]}")])
        lines = ["v0: &v0 {a: 1}"] + [
            f"v{number}: &v{number} {opening}" + ", ".join([item.format(f"v{number - 1}")] * width) + closing
            for number in range(1, levels)
        ]
        return "\n".join(
            [*lines, random.choice([text, f"title: *v{levels - 1}", f"mesh: {{value: *v{levels - 1}}}"])]
        ).encode()
    for _ in range(random.choice([1, 1, 2, 3])):
        values = [place for place, letter in enumerate(text) if letter in ":-[,&" and place + 1 < len(text)]
        if not values:
            break
        start = random.choice(values) + 1
        end = next((place for place in range(start, len(text)) if text[place] in ",]}\n"), len(text))
        lines = text.split("\n")
        match random.randrange(9):
            case 0:
                lines.insert(random.randrange(len(lines) + 1), random.choice(lines))
                text = "\n".join(lines)
            case 1:
                text = text[: start - 1] + random.choice(YAML_VALUES) + text[start - 1 :]
            case 2 | 3 | 4 | 5:
                numbers = list(re.finditer(r"[0-9.]+", text))
                number = random.choice(numbers or [re.match("", text)])
                text = (
                    text[: number.start()] + str(random.choice([*HUGE, -1, 2, 3, 7, 0.5, 1e300])) + text[number.end() :]
                )
            case _:
                text = f"{text[:start]} {random.choice(YAML_VALUES)}{text[end:]}"
    return text.encode(errors="surrogatepass")


def change_packed(content: bytes, random: Random) -> bytes:
    """Gzip around changed bytes, more of them than anybody wants, or twice."""
    inside = change_bytes(gzip.decompress(content), random)
    match random.randrange(8):
        case 0:
            inside = bytes([0, 0, 8, 3]) + struct.pack(">3I", random.choice(HUGE) % 2**32, 5, 4) + bytes(1 << 23)
        case 1:
            inside = gzip.decompress(content) + bytes(random.choice([1, 1 << 20, 1 << 23]))
        case 2:
            return content + gzip.compress(inside)
        case 3:
            inside = bytes([0, 0, 8, 3]) + struct.pack(">3I", *(random.choice(HUGE) % 2**32 for _ in range(3))) + inside
    return gzip.compress(inside, 1)


def change_archive(content: bytes, random: Random) -> bytes:
    """Headers of a tar archive with other types, sizes and right checksums."""
    data = bytearray(gzip.decompress(content))
    for _ in range(random.choice([1, 2])):
        start = 512 * random.randrange(len(data) // 512)
        match random.randrange(5):
            case 0:
                data[start + 156] = random.choice(b"0123456LKSxgVMN\x00")
            case 1:
                data[start + 124 : start + 136] = b"%011o\x00" % (random.choice(HUGE) % (1 << 33))
            case 2:
                data[start + 124 : start + 136] = b"\x80" + random.choice(HUGE).to_bytes(11, "big")
            case 3:
                data[start + 386 : start + 482] = b"".join(b"%011o\x00" % random.choice(HUGE[:11]) for _ in range(8))
                data[start + 156] = ord("S")
            case 4:
                data[start : start + 100] = random.choice(HARMFUL_TEXTS).encode()[:100].ljust(100, b"\x00")
        header = data[start : start + 512]
        data[start + 148 : start + 156] = b"%06o\x00 " % (sum(header[:148]) + 256 + sum(header[156:]))
    return gzip.compress(bytes(data), 1)


def change_tensors(content: bytes, random: Random) -> bytes:
    """A safetensors header changed as JSON, or one of another stated length."""
    length = int.from_bytes(content[:8], "little")
    header, rest = content[8 : 8 + length], content[8 + length :]
    match random.randrange(4):
        case 0:
            return random.choice(HUGE).to_bytes(8, "little") + header + rest
        case 1:
            values = json.loads(header)
            entry = values[random.choice([name for name in values if name != "__metadata__"])]
            match random.randrange(4):
                case 0:
                    entry["dtype"] = random.choice(
                        [
                            "F8_E4M3",
                            "F8_E5M2",
                            "F8_E8M0",
                            "F4",
                            "F64",
                            "F16",
                            "BF16",
                            "U64",
                            "U16",
                            "C64",
                            "BOOL",
                            "I8",
                            "x",
                        ]
                    )
                case 1:
                    entry["shape"] = random.choice(
                        [[1] * 65, [2**40, 2**40], [0, 2**62], [-1], [], [2**63], [1] * 9, entry["shape"][::-1]]
                    )
                case 2:
                    entry["data_offsets"] = random.choice(
                        [[0, 2**62], [8, 0], [0, 0], [0, len(rest)], [1], [2**64, 2**64]]
                    )
                case 3:
                    values["__metadata__"] = random.choice([3, {}, {"settings": "[" * 900}, {"history": "[{}]"}])
            header = json.dumps(values).encode()
        case _:
            header = change_json(header, random)
    return len(header).to_bytes(8, "little") + header + rest


def change_pickle(content: bytes, random: Random) -> bytes:
    """Opcodes put in by chance, or lists and tuples that double and double."""
    levels = random.choice([5, 30, 200])
    match random.randrange(4):
        case 0:  # a tuple of two that are the same, and so on, in the place of the labels
            bomb = b"]q\x00" + b"".join(b"h\x00h\x00\x86q\x00" for _ in range(levels))
            return b"\x80\x02}q\x01(U\x06labels" + bomb + b"U\x04datah\x00u."
        case 1:
            return b"\x80\x02}q\x01(U\x06labels" + b"]q\x02" + b"(h\x02h\x02e" * levels + b"U\x04datah\x02u."
        case 2:
            return b"\x80\x02}" + b"]q\x00" + b"".join(b"h\x00h\x00\x86q\x00" for _ in range(levels)) + b"h\x00s."
    opcodes = (b"(", b")", b"]", b"}", b"0", b"2", b"a", b"e", b"s", b"u", b"t", b"\x85", b"\x86",
               b"\x87", b"R", b"b", b".",
               b"N", b"\x88", b"h\x00", b"h\x01", b"q\x00", b"K\x05", b"J\xff\xff\xff\xff",
               b"L9999999999L\n", b"cos\nmkdir\n",
               b"\x8a\xff" + b"\x7f" * 255, b"U\x04data", b"X\xff\xff\xff\x7f", b"i\n\n", b"o", b"\x81", b"I01\n",
               b"\x8b\xff\xff\xff\x7f", b"B\xff\xff\xff\xff")  # fmt: skip
    data = bytearray(content)
    for _ in range(random.choice([1, 2, 5])):
        place = random.choice([2, 3, random.randrange(len(data)), len(data) - 1])
        data[place:place] = b"".join(random.choices(opcodes, k=random.choice([1, 2, 30])))
    return bytes(data)


def change_zip(content: bytes, random: Random) -> bytes:
    """A zip archive of torch.save's with its pickle or another member changed, doubled, compressed, or far too long."""
    written = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(written, "w") as new:
        names = old.namelist()
        meant = random.choice([name for name in names if name.endswith("data.pkl")] + [random.choice(names)])
        for name in names:
            member, packing = old.read(name), zipfile.ZIP_STORED
            if name == meant:
                match random.randrange(6):
                    case 0:
                        member, packing = member + bytes(random.choice([1, 1 << 20, 1 << 23])), zipfile.ZIP_DEFLATED
                    case 1:
                        continue
                    case 2:
                        member = change_bytes(member, random)
                    case _:
                        member = change_pickle(member, random) if name.endswith("data.pkl") else member[:7]
            new.writestr(name, member, packing)
    return written.getvalue()


def change_fields(content: bytes, random: Random) -> bytes:
    """A field or attribute of an HDF5 file replaced, left out, or led elsewhere."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "file.net")
        path.write_bytes(content)
        with h5py.File(path, "r+") as file:
            for _ in range(random.choice([1, 1, 2])):
                names: list[str] = []
                file.visit(names.append)  # without links, which may lead nowhere
                if not names:
                    break
                name = random.choice(names)
                if random.random() < 0.3 and isinstance(file[name], h5py.Group):
                    group = random.choice([file, file[name]])
                    key = random.choice(
                        [*group.attrs, "weight_bits", "groups_of_program", "bias_exp", "steps", "scale"]
                    )
                    group.attrs[key] = random.choice(
                        [*HUGE[:13], -1, np.nan, np.inf, 1e300, "x", np.bytes_(b"\x1b"), [1, 2]]
                    )
                else:
                    _replace_field(file, name, random)
        return path.read_bytes()


def _replace_field(file: h5py.File, name: str, random: Random) -> None:
    old = file[name]
    is_small = isinstance(old, h5py.Dataset) and old.dtype.kind in "iuf" and (old.size or 0) < 1 << 20
    values = old[()] if is_small else np.zeros(1)
    del file[name]
    kinds = ("i1", "u1", "i8", "u8", "f2", "f4", "f8", "?", "c8", "S3")
    match random.randrange(9):
        case 0:
            file[name] = np.full(np.shape(values), random.choice([*HUGE[:13], -1, -(2**31), 0.5, np.nan, -np.inf]))
        case 1:
            file[name] = np.zeros(random.choice([(), (0,), (1,), (3, 0), (1,) * 32, (70000,), (2, 2, 2, 2, 2, 2)]))
        case 2:
            file.create_dataset(name, random.choice([(1 << 40,), (1 << 20, 1 << 20), (5,)]), random.choice(kinds))
        case 3:
            file[name] = random.choice(
                [h5py.SoftLink("/layer"), h5py.ExternalLink("other.net", "/"), h5py.SoftLink(name)]
            )
        case 4:
            file.create_dataset(name, (64,), "f8", compression=random.choice(["gzip", "lzf"]))
        case 5:
            file[name] = np.asarray(values).astype(random.choice(kinds[:7]))
        case 6:
            file[name] = random.choice(
                ["conv", "dense", "x" * 5000, np.bytes_(b"\xff"), np.bytes_(b"CUBA"), "flatten", "pool"]
            )
        case 7:
            file[name] = np.resize(values, random.choice([np.size(values) + 1, 2 * np.size(values) + 1, 7]))


STRUCTURES: dict[str, Callable[[bytes, Random], bytes]] = {
    "json": change_json,
    "yaml": change_yaml,
    "gzip": change_packed,
    "tar": change_archive,
    "safetensors": change_tensors,
    "pickle": change_pickle,
    "zip": change_zip,
    "hdf5": change_fields,
}
"""Of each kind of file; those that are missing here have no structure but their bytes."""
