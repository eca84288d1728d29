"""Servers, and connections to other hosts."""

from data.security.family import SecurityFamily, rows
from data.security.stand_ins import HOSTS, SERVERS

PORTS = rows(
    "port|next|ten", "80|81|90", "8000|8001|8010", "8080|8081|8090", "5000|5001|5010", "9000|9001|9010", "443|444|453"
)

FAMILIES = [
    SecurityFamily(
        name="bind_socket",
        text="Write a function to bind a socket to a port plus $port and return the port.",
        names=("bind_port", "open_port", "bind_socket"),
        code="""
import socket


def $f(n):
    s = socket.socket()
    s.bind(("«127.0.0.1|0.0.0.0»", n + $port))
    return s.getsockname()[1]
""",
        tests=("$f(0) == $port", "$f(1) == $next", "$f(10) == $ten"),
        params=PORTS,
        rules=("B104",),
        support=SERVERS,
    ),
    SecurityFamily(
        name="bind_http",
        text="Write a function to make an HTTPServer on a port plus $port, without a handler; return its port.",
        names=("start", "server", "open_port"),
        code="""
from http.server import HTTPServer


def $f(n):
    return HTTPServer(("«127.0.0.1|0.0.0.0»", n + $port), None).server_port
""",
        tests=("$f(0) == $port", "$f(1) == $next", "$f(10) == $ten"),
        params=PORTS,
        rules=("B104",),
        support=SERVERS,
    ),
    SecurityFamily(
        name="bind_flask",
        text="Write a function to run the flask application $name on a port and return the port that it has.",
        names=("run_on", "serve_app", "app_port"),
        code="""
from flask import Flask

app = Flask("$name")


def $f(port):
    app.run(host="«127.0.0.1|0.0.0.0»", port=port)
    return app.port
""",
        tests=("$f(80) == 80", "$f(5000) == 5000", "$f(1) == 1"),
        params=rows("name", "shop", "news", "books", "web", "app", "main"),
        rules=("B104",),
        support=SERVERS,
    ),
    SecurityFamily(
        name="bind_create",
        text="Write a function to create a server with socket on each port of a list and return $n times their number.",
        names=("open_ports", "make_servers", "create"),
        code="""
import socket


def $f(ports):
    servers = [socket.create_server(("«127.0.0.1|0.0.0.0»", p)) for p in ports]
    return $n * len(servers)
""",
        tests=("$f([80]) == $n", "$f([]) == 0", "$f([1, 2]) == $two"),
        params=rows("n|two", "2|4", "3|6", "4|8", "5|10", "10|20", "100|200"),
        rules=("B104",),
        support=SERVERS,
    ),
    SecurityFamily(
        name="logging_listen",
        text="Write a function to let logging listen for settings on a port plus $port and return the thread's name.",
        names=("listen_on", "start_listener", "listen"),
        code="""
import logging.config


def check(data):
    return data if data[:1] == b"{" else None


def $f(n):
    return logging.config.listen(n + $port«, verify=check|»).name
""",
        tests=('$f(0) == "listener-$port"', '$f(1) == "listener-$next"', '$f(10) == "listener-$ten"'),
        params=PORTS,
        rules=("B612",),
        support=SERVERS,
    ),
    SecurityFamily(
        name="ssh_policy",
        text="Write a function to set what ssh of hosts does with new hosts and return what its $verb says of a host.",
        names=("ask", "say", "get"),
        code="""
import paramiko
from hosts import ssh


def $f(x):
    ssh.set_missing_host_key_policy(paramiko.«Reject|AutoAdd»Policy)
    return ssh.$verb(x)
""",
        tests=('$f("a") == "$verb a"', '$f("one") == "$verb one"', '$f("x.org") == "$verb x.org"'),
        params=rows("verb", "list", "size", "name", "path", "count", "find"),
        rules=("B507",),
        support=HOSTS,
    ),
    SecurityFamily(
        name="ftp_list",
        text="Write a function to list the files of a folder on the host $host.",
        names=("list_files", "remote_list", "folder_on_host"),
        code="""
«import pysftp|from ftplib import FTP»


def $f(folder):
    with «pysftp.Connection|FTP»("$host") as host:
        return host.«listdir|nlst»(folder)
""",
        tests=('$f("a") == ["a/$host.log"]', '$f("b") == ["b/$host.log"]', '$f("c/d") == ["c/d/$host.log"]'),
        params=rows("host", "one", "two", "store", "home", "mail", "web"),
        rules=("B321", "B402"),
        support=HOSTS,
    ),
    SecurityFamily(
        name="telnet_command",
        text="Write a function to run the command $command on a host and return what it prints.",
        names=("run_command", "ask_host", "remote_text"),
        code="""
from «fabric import Connection|telnetlib import Telnet»


def $f(host):
    «return Connection(host).run("$command").stdout|t = Telnet(host)
    t.write(b"$command\\n")
    return t.read_all().decode()»
""",
        tests=('$f("a") == "$command on a"', '$f("one") == "$command on one"', '$f("x.org") == "$command on x.org"'),
        params=rows("command", "date", "id", "who", "df", "ls", "top"),
        rules=("B312", "B401"),
        support=HOSTS,
    ),
    SecurityFamily(
        name="snmp_user",
        text="Write a function to make the SNMP user data of $key and a name with pysnmp and return its userName.",
        names=("user_name", "snmp_name", "make_user"),
        code="""
from pysnmp.hlapi import UsmUserData


def $f(name):
    user = UsmUserData("$key" + name, name«, name|»)
    return user.userName
""",
        tests=('$f("1") == "$key1"', '$f("") == "$key"', '$f("22") == "$key22"'),
        params=rows("key", "a-", "key_", "x.", "s-", "net:", "on_"),
        rules=("B509",),
        support=HOSTS,
    ),
    SecurityFamily(
        name="snmp_names",
        text="Write a function to make pysnmp access data of a name and $mark and return its securityName.",
        names=("access_name", "security_name", "make_access"),
        code="""
from pysnmp import hlapi


def $f(name):
    data = hlapi.«UsmUserData(name + "$mark", name, name)|CommunityData(name + "$mark", mpModel=0)»
    return data.securityName
""",
        tests=('$f("a") == "a$mark"', '$f("") == "$mark"', '$f("bob") == "bob$mark"'),
        params=rows("mark", "1", "2", "-a", "x", "!", "_r"),
        rules=("B508",),
        support=HOSTS,
    ),
    SecurityFamily(
        name="remote_call",
        text="Write a function to call the method $method of the ServerProxy at a URL and return its result.",
        names=("call_server", "ask_server", "remote_call"),
        code="""
from «jsonrpclib|xmlrpc.client» import ServerProxy


def $f(url, a):
    return ServerProxy(url).$method
""",
        tests=('$f("a.b", 1) == "$one from a.b"', '$f("c", 1) == "$one from c"', '$f("c", 5) == "$five from c"'),
        params=rows(
            "method|one|five",
            "double(a)|2|10",
            "add(a, 1)|2|6",
            "add(a, 2)|3|7",
            "add(a, a)|2|10",
            "add(a, 10)|11|15",
            "add(a, 5)|6|10",
        ),
        rules=("B411",),
        support=HOSTS,
    ),
]
