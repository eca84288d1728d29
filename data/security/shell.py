"""Other programs, run through a shell (open to injection by a file name) or without."""

from data.security.family import SecurityFamily, rows
from data.security.stand_ins import HOSTS, SHELL

FAMILIES = [
    SecurityFamily(
        name="shell_count",
        text="Write a function to count the $what of a file with wc $flag and add $k.",
        names=("count_file", "measure", "file_count"),
        code="""
import subprocess


def $f(name):
    text = subprocess.check_output(«["wc", "$flag", name]|"wc $flag " + name, shell=True»)
    return int(text.split()[0]) + $k
""",
        tests=('$f("a.txt") == $a', '$f("b.txt") == $b', '$f("c.txt") == $c'),
        params=rows(
            "what|flag|k|a|b|c",
            "lines|-l|1|4|3|2",
            "words|-w|1|5|3|2",
            "bytes|-c|1|20|10|6",
            "lines|-l|5|8|7|6",
            "words|-w|5|9|7|6",
            "bytes|-c|5|24|14|10",
        ),
        rules=("B602",),
        support=SHELL,
    ),
    SecurityFamily(
        name="shell_lines",
        text="Write a function to return the $which $n lines of a file as text, using the program $tool.",
        names=("some_lines", "file_lines", "read_part"),
        code="""
import subprocess


def $f(name):
    return subprocess.check_output(«["$tool", "-n", "$n", name]|f"$tool -n $n {name}", shell=True»).decode()
""",
        tests=('$f("a.txt") == "$a"', '$f("b.txt") == "$b"', '$f("c.txt") == "kiwi\\n"'),
        params=rows(
            "which|tool|n|a|b",
            r"first|head|1|pear\n|fig\n",
            r"first|head|2|pear\nfig tree\n|fig\nlime\n",
            r"first|head|3|pear\nfig tree\nplum\n|fig\nlime\n",
            r"last|tail|1|plum\n|lime\n",
            r"last|tail|2|fig tree\nplum\n|fig\nlime\n",
            r"last|tail|3|pear\nfig tree\nplum\n|fig\nlime\n",
        ),
        rules=("B602",),
        support=SHELL,
    ),
    SecurityFamily(
        name="shell_status",
        text="Write a function to say whether the program grep finds the word $word in a file.",
        names=("has_word", "holds_word", "find_word"),
        code="""
import «subprocess|os»


def $f(name):
    status = «subprocess.call(["grep", "-q", "$word", name])|os.system("grep -q $word " + name)»
    return status == 0
""",
        tests=('$f("$yes") == True', '$f("$no") == False', '$f("none.txt") == False'),
        params=rows(
            "word|yes|no",
            "pear|a.txt|b.txt",
            "lime|b.txt|a.txt",
            "kiwi|c.txt|a.txt",
            "plum|a.txt|c.txt",
            "tree|a.txt|b.txt",
            "fig|b.txt|c.txt",
        ),
        rules=("B605",),
        support=SHELL,
    ),
    SecurityFamily(
        name="shell_popen",
        text="Write a function to list the lines of a file as the program $tool prints them$more.",
        names=("printed_lines", "read_lines", "list_lines"),
        code="""
import «subprocess|os»


def $f(name):
    text = «subprocess.check_output(["$tool", name], text=True)|os.popen("$tool " + name).read()»
    return text.split("\\n")[$start:-1]
""",
        tests=('$f("a.txt") == $a', '$f("b.txt") == $b', '$f("c.txt") == $c'),
        params=rows(
            "tool|more|start|a|b|c",
            'cat||0|["pear", "fig tree", "plum"]|["fig", "lime"]|["kiwi"]',
            'sort||0|["fig tree", "pear", "plum"]|["fig", "lime"]|["kiwi"]',
            'tac||0|["plum", "fig tree", "pear"]|["lime", "fig"]|["kiwi"]',
            'cat| without the first line|1|["fig tree", "plum"]|["lime"]|[]',
            'sort| without the first line|1|["pear", "plum"]|["lime"]|[]',
            'tac| without the first line|1|["fig tree", "pear"]|["fig"]|[]',
        ),
        rules=("B605",),
        support=SHELL,
    ),
    SecurityFamily(
        name="shell_getoutput",
        text="Write a function to list the files that ls prints for a folder and that end in $end.",
        names=("list_folder", "names_in", "folder_files"),
        code="""
import subprocess


def $f(folder):
    text = «subprocess.check_output(["ls", folder], text=True)|subprocess.getoutput(f"ls {folder}")»
    return [name for name in text.split() if name.endswith("$end")]
""",
        tests=('$f("docs") == $docs', '$f("src") == $src', '$f("src") != ["b.txt"]'),
        params=rows(
            "end|docs|src",
            '.txt|["a.txt", "b.txt"]|["c.txt"]',
            'a.txt|["a.txt"]|[]',
            'b.txt|["b.txt"]|[]',
            'c.txt|[]|["c.txt"]',
            ".md|[]|[]",
            't|["a.txt", "b.txt"]|["c.txt"]',
        ),
        rules=("B605",),
        support=SHELL,
    ),
    SecurityFamily(
        name="shell_process",
        text="Write a function to return the first $n bytes that the program $tool prints for a file.",
        names=("first_bytes", "read_bytes", "some_bytes"),
        code="""
import subprocess


def $f(name):
    process = subprocess.Popen(«["$tool", name]|"$tool " + name, shell=True», stdout=-1)
    return process.communicate()[0][:$n]
""",
        tests=('$f("a.txt") == b"$a"', '$f("b.txt") == b"$b"', '$f("c.txt") == b"$c"'),
        params=rows(
            "tool|n|a|b|c",
            "cat|2|pe|fi|ki",
            "cat|3|pea|fig|kiw",
            "sort|2|fi|fi|ki",
            "sort|4|fig |fig\\n|kiwi",
            "tac|2|pl|li|ki",
            "tac|3|plu|lim|kiw",
        ),
        rules=("B602",),
        support=SHELL,
    ),
    SecurityFamily(
        name="shell_psutil",
        text="Write a function to run $tool $flag for a file with psutil.Popen and return the exit status.",
        names=("start_tool", "exit_status", "run_tool"),
        code="""
import psutil


def $f(name):
    process = psutil.Popen(«["$tool", "$flag", name]|"$tool $flag " + name, shell=True»)
    return process.wait()
""",
        tests=('$f("a.txt") == 0', '$f("none.txt") == 1', '$f("c.txt") == 0'),
        params=rows("tool|flag", "wc|-l", "wc|-w", "wc|-c", "sort|-r", "sort|-n", "cat|-n"),
        rules=("B604",),
        support=SHELL,
    ),
    SecurityFamily(
        name="shell_echo",
        text="Write a function to print the word $word and a name with echo and return the output.",
        names=("greet", "echo_name", "say"),
        code="""
import subprocess


def $f(name):
    result = subprocess.run(«["echo", "$word", name]|f"echo $word {name}", shell=True», text=True, stdout=-1)
    return result.stdout
""",
        tests=('$f("ann") == "$word ann\\n"', '$f("bob") == "$word bob\\n"', '$f("x") == "$word x\\n"'),
        params=rows("word", "hello", "hi", "dear", "good", "bye", "welcome"),
        rules=("B602",),
        support=SHELL,
    ),
    SecurityFamily(
        name="ssh_list",
        text="Write a function to list the folder $folder on a host with paramiko.",
        names=("list_on", "list_host", "files_on"),
        code="""
import paramiko


def $f(host):
    ssh = paramiko.SSHClient()
    ssh.connect(host)
    return «ssh.open_sftp().listdir("$folder")|list(ssh.exec_command("ls $folder")[1])»
""",
        tests=('$f("one") == ["$folder/one.log"]', '$f("two") == ["$folder/two.log"]', '$f("a") == ["$folder/a.log"]'),
        params=rows("folder", "data", "log", "in", "a", "out", "on"),
        rules=("B601",),
        support=HOSTS,
    ),
    SecurityFamily(
        name="wildcard_tar",
        text="Write a function to pack all files of a folder into $name.tar with tar and return the exit status.",
        names=("pack_folder", "make_archive", "pack"),
        code="""
import subprocess


def $f(folder):
    return subprocess.call(«["tar", "-cf", "$name.tar", "."]|"tar -cf $name.tar *", shell=True», cwd=folder)
""",
        tests=('$f("docs") == 0', '$f("src") == 0', '$f("none") == 2'),
        params=rows("name", "all", "out", "files", "backup", "old", "data"),
        rules=("B609",),
        support=SHELL,
    ),
    SecurityFamily(
        name="wildcard_chown",
        text="Write a function to give all files of a folder to $user with chown and return the exit status.",
        names=("give_files", "change_owner", "own"),
        code="""
import subprocess


def $f(folder):
    result = subprocess.run(«["chown", "-R", "$user", "."]|"chown -R $user *", shell=True», cwd=folder)
    return result.returncode
""",
        tests=('$f("docs") == 0', '$f("src") == 0', '$f("none") == 2'),
        params=rows("user", "ann", "bob", "root", "www", "mail", "web"),
        rules=("B609",),
        support=SHELL,
    ),
    SecurityFamily(
        name="wildcard_rsync",
        text="Write a function to copy all files of a folder to $host with rsync -a and return the exit status.",
        names=("copy_files", "send_files", "mirror"),
        code="""
import subprocess


def $f(folder):
    return subprocess.call(«["rsync", "-a", ".", "$host:"]|"rsync -a * $host:", shell=True», cwd=folder)
""",
        tests=('$f("docs") == 0', '$f("src") == 0', '$f("none") == 2'),
        params=rows("host", "one", "two", "home", "store", "web", "mail"),
        rules=("B609",),
        support=SHELL,
    ),
]
