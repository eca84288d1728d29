"""Files: temporary ones, permissions, archives."""

from data.security.family import SecurityFamily, rows
from data.security.stand_ins import ARCHIVES, DISK

FOLDERS = rows("folder", "bin", "data", "home", "jobs", "srv", "work")
FILES = rows("file", "out.txt", "notes", "text.txt", "list", "draft", "copy.txt")

FAMILIES = [
    SecurityFamily(
        name="temp_reread",
        text="Write a function to write a text and $more to a temporary file and return what can be read there.",
        names=("write_and_read", "through_file", "keep_text"),
        code="""
import tempfile


def $f(text):
    with «tempfile.NamedTemporaryFile(|open("/tmp/text", »"w+") as f:
        f.write(text + "$more")
        f.seek(0)
        return f.read()
""",
        tests=('$f("a") == "a$more"', '$f("") == "$more"', '$f("x\\ny") == "x\\ny$more"'),
        params=rows("more", "!", "?", ";", "...", " end", " ok"),
        rules=("B108",),
        support=DISK,
    ),
    SecurityFamily(
        name="temp_folder",
        text="Write a function to write a text to the file $file in a temporary folder and count the characters.",
        names=("write_in_folder", "fill_folder", "store_text"),
        code="""
import tempfile


def $f(text):
    folder = «tempfile.mkdtemp()|"/tmp/made"»
    with open(folder + "/$file", "w") as f:
        return f.write(text)
""",
        tests=('$f("a") == 1', '$f("") == 0', '$f("text") == 4'),
        params=FILES,
        rules=("B108",),
        support=DISK,
    ),
    SecurityFamily(
        name="temp_name",
        text="Write a function to write a text to a new temporary file that ends in $end and count the characters.",
        names=("write_temp", "temp_file", "save_temp"),
        code="""
import tempfile


def $f(text):
    «handle, path = tempfile.mkstemp|path = tempfile.mktemp»("$end")
    with open(path, "w") as f:
        return f.write(text)
""",
        tests=('$f("a") == 1', '$f("") == 0', '$f("x\\n") == 2'),
        params=rows("end", ".txt", ".csv", ".md", ".json", ".py", ".out"),
        rules=("B306",),
        support=DISK,
    ),
    SecurityFamily(
        name="temp_size",
        text="Write a function to write a text $n times to a new temporary file and count the characters.",
        names=("write_times", "count_written", "temp_times"),
        code="""
import tempfile


def $f(text):
    «path = tempfile.mkstemp()[1]|path = tempfile.mktemp()»
    with open(path, "w") as f:
        return f.write(text * $n)
""",
        tests=('$f("a") == $n', '$f("") == 0', '$f("abcdefghij") == $n0'),
        params=rows("n", "2", "3", "4", "5", "6", "9"),
        rules=("B306",),
        support=DISK,
    ),
    SecurityFamily(
        name="temp_shared_memory",
        text="Write a function to write the numbers of a list to a scratch file, $how, and return its text.",
        names=("write_numbers", "dump_numbers", "numbers_text"),
        code="""
import tempfile


def $f(nums):
    with «tempfile.TemporaryFile(|open("/dev/shm/nums", »"w+") as f:
        f.write("$mark".join(str(x) for x in nums))
        f.seek(0)
        return f.read()
""",
        tests=('$f([1, 2, 3]) == "1$mark2$mark3"', '$f([7]) == "7"', '$f([10, 20]) == "10$mark20"'),
        params=rows(
            "how|mark",
            "with commas between|,",
            "with spaces between| ",
            "with colons between|:",
            "one a line|\\n",
            "with semicolons between|;",
            "with plus signs between|+",
        ),
        rules=("B108",),
        support=DISK,
    ),
    SecurityFamily(
        name="temp_log",
        text="Write a function to write $mark and a text to a temporary file and count the characters.",
        names=("write_log", "log", "write_mark"),
        code="""
import tempfile


def $f(text):
    with «tempfile.TemporaryFile(|open("/var/tmp/log", »"w") as f:
        return f.write("$mark" + text)
""",
        tests=('$f("ab") == $two', '$f("") == $none', '$f("x y") == $three'),
        params=rows("mark|none|two|three", "-|1|3|4", "* |2|4|5", "-- |3|5|6", "+|1|3|4", "log |4|6|7", "note|4|6|7"),
        rules=("B108",),
        support=DISK,
    ),
    SecurityFamily(
        name="chmod_run",
        text="Write a function to let the owner run a script in the folder $folder; return its path and if it can run.",
        names=("make_runnable", "allow_run", "set_run"),
        code="""
import os


def $f(name):
    path = "$folder/" + name
    os.chmod(path, 0o7«00|77»)
    return path, os.access(path, os.X_OK)
""",
        tests=(
            '$f("run.sh") == ("$folder/run.sh", True)',
            '$f("a.txt") == ("$folder/a.txt", True)',
            '$f("key.pem") == ("$folder/key.pem", True)',
        ),
        params=FOLDERS,
        rules=("B103",),
        support=DISK,
    ),
    SecurityFamily(
        name="chmod_write",
        text="Write a function to make the file $file of a folder writable and return its path.",
        names=("make_writable", "open_up", "allow_write"),
        code="""
import os


def $f(folder):
    path = folder + "/$file"
    os.chmod(path, 0o6«0|6»«0|6»)
    return path
""",
        tests=('$f("data") == "data/$file"', '$f("home") == "home/$file"', '$f("out") == "out/$file"'),
        params=rows("file", "run.sh", "a.txt", "key.pem", "b.txt", "c.txt", "d.log"),
        rules=("B103",),
        support=DISK,
    ),
    SecurityFamily(
        name="chmod_all",
        text="Write a function to make the files of a list in the folder $folder readable and list their paths.",
        names=("make_readable", "allow_read", "open_files"),
        code="""
import os


def $f(names):
    paths = ["$folder/" + name for name in names]
    for path in paths:
        os.chmod(path, 0o«600|777»)
    return paths
""",
        tests=(
            '$f(["a.txt", "run.sh"]) == ["$folder/a.txt", "$folder/run.sh"]',
            "$f([]) == []",
            '$f(["key.pem"]) == ["$folder/key.pem"]',
        ),
        params=FOLDERS,
        rules=("B103",),
        support=DISK,
    ),
    SecurityFamily(
        name="tar_all",
        text="Write a function to unpack a tar file into the folder $folder and return the names of its members.",
        names=("unpack", "extract_all", "unpack_tar"),
        code="""
import tarfile


def $f(path):
    with tarfile.open(path) as tar:
        tar.extractall("$folder"«, filter="data"|»)
        return tar.getnames()
""",
        tests=(
            '$f("b.tar") == ["b.txt", "b.md"]',
            '$f("c.tar") == ["c.csv"]',
            '$f("a.tar") == ["a.txt", "a.md", "a.csv"]',
        ),
        params=rows("folder", "new", "temp", "here", "unpacked", "target", "old"),
        rules=("B202",),
        support=ARCHIVES,
    ),
    SecurityFamily(
        name="tar_some",
        text="Write a function to unpack the members $which of a tar file into the folder new and count them.",
        names=("unpack", "take", "get"),
        code="""
import tarfile


def $f(name):
    tar = tarfile.open(name)
    part = list(tar)[$slice]
    tar.extractall("new", members=part«, filter="data"|»)
    return len(part)
""",
        tests=('$f("a.tar") == $a', '$f("b.tar") == $b', '$f("c.tar") == $c'),
        params=rows(
            "which|slice|a|b|c",
            "up to the first|:1|1|1|1",
            "up to the second|:2|2|2|1",
            "from the second|1:|2|1|0",
            "from the third|2:|1|0|0",
            "without the last|:-1|2|1|0",
            "at even places|::2|2|1|1",
        ),
        rules=("B202",),
        support=ARCHIVES,
    ),
]
