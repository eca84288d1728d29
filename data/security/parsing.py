"""Text and bytes to values, by a parser of data or by one that executes its input."""

from data.security.family import SecurityFamily, rows
from data.security.stand_ins import OBJECTS, XML, YAML

KEYS = rows("key", "port", "size", "name", "id", "host", "count")

FAMILIES = [
    SecurityFamily(
        name="yaml_value",
        text="Write a function to read the value of the key $key from a YAML text.",
        names=("read_key", "yaml_value", "get_setting"),
        code="""
import yaml


def $f(text):
    return yaml.«safe_load(text)|load(text, Loader=yaml.Loader)»["$key"]
""",
        tests=('$f("$key: 80") == 80', '$f("a: 1\\n$key: x") == "x"', '$f("$key: 5\\nb: 2") == 5'),
        params=KEYS,
        rules=("B506",),
        support=YAML,
    ),
    SecurityFamily(
        name="yaml_default",
        text="Write a function to read the key $key from a YAML text, $k if it is not there, with yaml.load.",
        names=("key_or_default", "load_key", "setting_of"),
        code="""
import yaml


def $f(text):
    data = yaml.load(text, Loader=yaml.«Safe|Full»Loader)
    return data.get("$key", $k)
""",
        tests=('$f("$key: 7") == 7', '$f("a: 1") == $k', '$f("a: 1\\n$key: 9") == 9'),
        params=rows("key|k", "port|80", "size|10", "count|0", "limit|100", "id|1", "time|60"),
        rules=("B506",),
        support=YAML,
    ),
    SecurityFamily(
        name="yaml_sum",
        text="Write a function to add up the values of a YAML text and $k.",
        names=("sum_values", "add_up", "total"),
        code="""
import yaml


def $f(text):
    data = yaml.«safe_load(text)|load(text, Loader=yaml.UnsafeLoader)»
    return sum(data.values()) + $k
""",
        tests=('$f("a: 1\\nb: 2") == $three', '$f("a: 0") == $k', '$f("x: 7") == $seven'),
        params=rows("k|three|seven", "1|4|8", "2|5|9", "3|6|10", "5|8|12", "10|13|17", "20|23|27"),
        rules=("B506",),
        support=YAML,
    ),
    SecurityFamily(
        name="xml_attribute",
        text="Write a function to return the attribute $key of the root of an XML text.",
        names=("root_attribute", "read_attribute", "attribute"),
        code="""
from «defusedxml|xml.etree» import ElementTree


def $f(text):
    return ElementTree.fromstring(text).get("$key")
""",
        tests=("""$f('<a $key="1"/>') == "1\"""", """$f('<b x="2" $key="y"/>') == "y\"""", '$f("<a/>") == None'),
        params=KEYS,
        rules=("B314",),
        support=XML,
    ),
    SecurityFamily(
        name="xml_count",
        text="Write a function to count the $tag elements in an XML text with ElementTree.",
        names=("count_elements", "count_tags", "elements_in"),
        code="""
import «defusedxml|xml.etree».ElementTree as ET


def $f(text):
    root = ET.fromstring(text)
    return len(root.findall(".//$tag"))
""",
        tests=('$f("<a><$tag/><$tag/></a>") == 2', '$f("<a/>") == 0', '$f("<a><c><$tag/></c></a>") == 1'),
        params=rows("tag", "b", "item", "row", "p", "name", "li"),
        rules=("B314",),
        support=XML,
    ),
    SecurityFamily(
        name="xml_minidom",
        text="Write a function to count the $tag elements in an XML text with minidom.",
        names=("count_nodes", "minidom_count", "nodes_in"),
        code="""
from «defusedxml|xml.dom» import minidom


def $f(text):
    return len(minidom.parseString(text).getElementsByTagName("$tag"))
""",
        tests=('$f("<a><$tag/><$tag/></a>") == 2', '$f("<a/>") == 0', '$f("<a><x><$tag/></x></a>") == 1'),
        params=rows("tag", "b", "item", "row", "p", "name", "li"),
        rules=("B318",),
        support=XML,
    ),
    SecurityFamily(
        name="xml_sax",
        text="Write a function to list element names of XML bytes $how, with sax and the handler Names of handlers.",
        names=("element_names", "sax_names", "tag_names"),
        code="""
from «defusedxml|xml» import sax
from handlers import Names


def $f(data):
    names = Names()
    sax.parseString(data, names)
    return names.found[$slice]
""",
        tests=('$f(b"<a><b/><c/></a>") == $three', '$f(b"<a/>") == $one', '$f(b"<x><y/></x>") == $two'),
        params=rows(
            "how|slice|three|one|two",
            'from the second|1:|["b", "c"]|[]|["y"]',
            'in reverse|::-1|["c", "b", "a"]|["a"]|["y", "x"]',
            'without the last|:-1|["a", "b"]|[]|["x"]',
            'up to the first|:1|["a"]|["a"]|["x"]',
            'at even places|::2|["a", "c"]|["a"]|["x"]',
            'from the third|2:|["c"]|[]|[]',
        ),
        rules=("B317",),
        support=XML,
    ),
    SecurityFamily(
        name="xml_pulldom",
        text="Write a function to count the events $event that pulldom makes of an XML text.",
        names=("count_events", "events_in", "pull_count"),
        code="""
from «defusedxml|xml.dom» import pulldom


def $f(text):
    return [e for e, n in pulldom.parseString(text)].count("$event")
""",
        tests=('$f("<a><b/>x</a>") == $x', '$f("<a/>") == $y', '$f("<a><?p q?><b/><b/></a>") == $z'),
        params=rows(
            "event|x|y|z",
            "START_ELEMENT|2|1|3",
            "END_ELEMENT|2|1|3",
            "CHARACTERS|1|0|0",
            "START_DOCUMENT|1|1|1",
            "PROCESSING_INSTRUCTION|0|0|1",
        ),
        rules=("B319",),
        support=XML,
    ),
    SecurityFamily(
        name="eval_list",
        text="Write a function to read a list of numbers from its text and return the sum times $k.",
        names=("sum_of_text", "read_sum", "sum_list"),
        code="""
«import ast


|»def $f(text):
    nums = «ast.literal_eval|eval»(text)
    return sum(nums) * $k
""",
        tests=('$f("[1, 2, 3]") == $six', '$f("[]") == 0', '$f("[7]") == $seven'),
        params=rows("k|six|seven", "2|12|14", "3|18|21", "4|24|28", "5|30|35", "8|48|56", "10|60|70"),
        rules=("B307",),
    ),
    SecurityFamily(
        name="eval_number",
        text="Write a function to read a number from its text and $do it $to $k.",
        names=("read_number", "number_from", "text_to_number"),
        code="""
def $f(text):
    return «int|eval»(text) $op $k
""",
        tests=('$f("7") == $a', '$f("0") == $b', '$f("-3") == $c'),
        params=rows(
            "do|to|op|k|a|b|c",
            "add|to|+|2|9|2|-1",
            "add|to|+|5|12|5|2",
            "add|to|+|10|17|10|7",
            "multiply|by|*|2|14|0|-6",
            "multiply|by|*|3|21|0|-9",
            "multiply|by|*|5|35|0|-15",
        ),
        rules=("B307",),
    ),
    SecurityFamily(
        name="eval_function",
        text="Write a function to call the function of math with a given name on a number and $do $k.",
        names=("call_math", "apply_name", "math_by_name"),
        code="""
import math


def $f(name, x):
    return «getattr(math, name)(x)|eval(f"math.{name}({x})")» $op $k
""",
        tests=('$f("sqrt", 9) == $a', '$f("floor", 2) == $b', '$f("sqrt", 16) == $c'),
        params=rows(
            "do|op|k|a|b|c",
            "add|+|1|4|3|5",
            "add|+|2|5|4|6",
            "add|+|10|13|12|14",
            "multiply by|*|2|6|4|8",
            "multiply by|*|3|9|6|12",
            "multiply by|*|10|30|20|40",
        ),
        rules=("B307",),
    ),
    SecurityFamily(
        name="eval_record",
        text="Write a function to read a dictionary from its text and return the value of $key, or $k.",
        names=("value_in_text", "read_record", "record_value"),
        code="""
«from ast import literal_eval


|»def $f(text):
    record = «literal_|»eval(text)
    return record.get("$key", $k)
""",
        tests=("""$f("{'$key': 7}") == 7""", '$f("{}") == $k', """$f("{'a': 1, '$key': 2}") == 2"""),
        params=rows("key|k", "size|0", "port|80", "id|1", "count|10", "age|18", "n|5"),
        rules=("B307",),
    ),
    SecurityFamily(
        name="exec_setting",
        text='Write a function to read a setting like "$key = 5" and return the value of $key.',
        names=("read_setting", "setting_value", "parse_setting"),
        code="""
def $f(text):
    values = {}
    «key, value = text.split(" = ")
    values[key] = int(value)|exec(text, values)»
    return values["$key"]
""",
        tests=('$f("$key = 5") == 5', '$f("$key = 0") == 0', '$f("$key = -12") == -12'),
        params=KEYS,
        rules=("B102",),
    ),
    SecurityFamily(
        name="exec_import",
        text="Write a function to return the value that the module $module has under a given name.",
        names=("module_value", "value_of", "constant"),
        code="""
import $module


def $f(name):
    «return getattr($module, name)|values = {}
    exec(f"value = module.{name}", {"module": $module}, values)
    return values["value"]»
""",
        tests=('$f("$x") == $a', '$f("$y") == $b', '$f("__name__") == "$module"'),
        params=rows(
            "module|x|y|a|b",
            'string|digits|hexdigits|"0123456789"|"0123456789abcdefABCDEF"',
            "errno|ENOENT|EPERM|2|1",
            "datetime|MINYEAR|MAXYEAR|1|9999",
            "stat|S_IRUSR|S_IWUSR|256|128",
            "token|NAME|NUMBER|1|2",
            "calendar|MONDAY|SUNDAY|0|6",
        ),
        rules=("B102",),
    ),
    SecurityFamily(
        name="pickle_copy",
        text="Write a function to make a deep copy of a dictionary, set its key $key to $k and return the copy.",
        names=("copy_and_set", "changed_copy", "copy_with"),
        code="""
import «copy|pickle»


def $f(record):
    other = «copy.deepcopy(record)|pickle.loads(pickle.dumps(record))»
    other["$key"] = $k
    return other
""",
        tests=(
            '$f({}) == {"$key": $k}',
            '$f({"a": [1]}) == {"a": [1], "$key": $k}',
            '$f({"$key": -1}) == {"$key": $k}',
        ),
        params=rows("key|k", "size|0", "port|80", "id|1", "count|10", "age|18", "n|5"),
        rules=("B301",),
    ),
    SecurityFamily(
        name="pickle_cache",
        text="Write a function to keep a value in db of cache under $key and read it back.",
        names=("through_cache", "keep_value", "cached"),
        code="""
import «json|pickle»
from cache import db


def $f(value):
    db["$key"] = «json|pickle».dumps(value)
    return «json|pickle».loads(db["$key"])
""",
        tests=("$f([1, 2, 3]) == [1, 2, 3]", "$f([]) == []", '$f("ab") == "ab"'),
        params=KEYS,
        rules=("B301",),
        support=OBJECTS,
    ),
    SecurityFamily(
        name="marshal_bytes",
        text="Write a function to turn a list into bytes and back and return its items $how.",
        names=("list_through_bytes", "pack_list", "to_and_from"),
        code="""
import «json|marshal»


def $f(items):
    data = «json|marshal».dumps(items)
    return «json|marshal».loads(data)[$slice]
""",
        tests=("$f([1, 2, 3]) == $a", "$f([]) == []", '$f(["a", "b"]) == $b'),
        params=rows(
            "how|slice|a|b",
            'in reverse|::-1|[3, 2, 1]|["b", "a"]',
            'from the second|1:|[2, 3]|["b"]',
            'without the last|:-1|[1, 2]|["a"]',
            'at even places|::2|[1, 3]|["a"]',
            'up to the first|:1|[1]|["a"]',
            "from the third|2:|[3]|[]",
        ),
        rules=("B302",),
    ),
    SecurityFamily(
        name="dill_twice",
        text="Write a function to return $n separate deep copies of a list, in a list.",
        names=("copies", "copy_times", "many_copies"),
        code="""
import «copy|dill»


def $f(items):
    return [«copy.deepcopy(items)|dill.loads(dill.dumps(items))» for i in range($n)]
""",
        tests=("$f([1]) == $a", "$f([]) == $b", '$f(["x"]) == $c'),
        params=tuple(
            {"n": str(n), "a": str([[1]] * n), "b": str([[]] * n), "c": str([["x"]] * n)} for n in (1, 2, 3, 4, 5, 6)
        ),
        rules=("B301",),
        support=OBJECTS,
    ),
    SecurityFamily(
        name="jsonpickle_value",
        text="Write a function to decode a JSON text and return the value of its key $key.",
        names=("decode_key", "json_key", "decode"),
        code="""
import «json|jsonpickle»


def $f(text):
    return «json.loads|jsonpickle.decode»(text)["$key"]
""",
        tests=("""$f('{"$key": 1}') == 1""", """$f('{"$key": "x"}') == "x\"""", """$f('{"a": 2, "$key": []}') == []"""),
        params=KEYS,
        rules=("B301",),
        support=OBJECTS,
    ),
    SecurityFamily(
        name="shelve_length",
        text="Write a function to store a text under its key in the file $file and return the length that is stored.",
        names=("store_text", "stored_length", "put_text"),
        code="""
import «dbm|shelve»


def $f(key, text):
    with «dbm|shelve».open("$file", "c") as db:
        db[key] = text
        return len(db[key])
""",
        tests=('$f("a", "bcd") == 3', '$f("b", "") == 0', '$f("c", "x y") == 3'),
        params=rows("file", "data", "texts", "store", "notes", "out", "keys"),
        rules=("B301",),
        support=OBJECTS,
    ),
    SecurityFamily(
        name="torch_load",
        text="Write a function to load a file with torch and return what it holds under $key.",
        names=("load_value", "saved_value", "from_file"),
        code="""
import torch


def $f(path):
    state = torch.load(path«, weights_only=True|»)
    return state["$key"]
""",
        tests=('$f("a.pt") == $a', '$f("net.pt") == $b', '$f("x/y.pt") == $b'),
        params=rows("key|a|b", "epoch|4|6", "step|40|60", "loss|0.5|0.5", "seed|7|7", "size|8|12", "batch|32|32"),
        rules=("B614",),
        support=OBJECTS,
    ),
    SecurityFamily(
        name="torch_sum",
        text="Write a function to add up what the torch files of a list hold under $key.",
        names=("sum_files", "total_of_files", "add_files"),
        code="""
import torch


def $f(paths):
    return sum(torch.load(path«, weights_only=True|»)["$key"] for path in paths)
""",
        tests=('$f(["a.pt", "net.pt"]) == $sum', "$f([]) == 0", '$f(["a.pt"]) == $a'),
        params=rows("key|a|sum", "epoch|4|10", "step|40|100", "loss|0.5|1.0", "seed|7|14", "size|8|20", "batch|32|64"),
        rules=("B614",),
        support=OBJECTS,
    ),
]
