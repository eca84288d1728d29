"""Web pages from templates that escape or do not, and an application that serves them."""

from data.security.family import SecurityFamily, rows
from data.security.stand_ins import HTML, SERVERS

TAGS = rows("tag", "b", "i", "p", "li", "td", "h1")
WORDS = rows("word", "Hello", "Dear", "Hi", "From", "To", "By")

FAMILIES = [
    SecurityFamily(
        name="jinja_text",
        text="Write a function to render the word $word and a value x with a Jinja environment.",
        names=("render_word", "word_and", "render"),
        code="""
import jinja2


def $f(x):
    page = jinja2.Environment(«autoescape=True|»)
    return page.from_string("$word {{ x }}").render(x=x)
""",
        tests=('$f("ann") == "$word ann"', '$f("") == "$word "', '$f("bob b") == "$word bob b"'),
        params=WORDS,
        rules=("B701",),
        support=HTML,
    ),
    SecurityFamily(
        name="jinja_plain",
        text="Write a function to render a number in an element $tag with a Jinja environment made before.",
        names=("render_number", "number_in", "element"),
        code="""
import jinja2

env = jinja2.Environment(autoescape=«True|False»)


def $f(x):
    return env.from_string("<$tag>{{ x }}").render(x=x)
""",
        tests=('$f(5) == "<$tag>5"', '$f(0) == "<$tag>0"', '$f(-12) == "<$tag>-12"'),
        params=TAGS,
        rules=("B701",),
        support=HTML,
    ),
    SecurityFamily(
        name="jinja_list",
        text="Write a function to render each value of a list after $mark with a Jinja environment, in a list.",
        names=("render_list", "render_all", "list_of"),
        code="""
import jinja2


def $f(items):
    t = jinja2.Environment(«autoescape=True|»).from_string("$mark {{ x }}")
    return [t.render(x=x) for x in items]
""",
        tests=('$f(["a", "b"]) == ["$mark a", "$mark b"]', "$f([]) == []", '$f([3]) == ["$mark 3"]'),
        params=rows("mark", "-", "*", "+", "no", ">", "x"),
        rules=("B701",),
        support=HTML,
    ),
    SecurityFamily(
        name="django_element",
        text="Write a function to put a text into an element $tag as safe HTML with Django.",
        names=("wrap_text", "in_element", "html_text"),
        code="""
from django.utils.«html import format_html|safestring import mark_safe»


def $f(text):
    return «format_html("<$tag>{}</$tag>", text)|mark_safe("<$tag>" + text + "</$tag>")»
""",
        tests=('$f("a") == "<$tag>a</$tag>"', '$f("") == "<$tag></$tag>"', '$f("b c") == "<$tag>b c</$tag>"'),
        params=TAGS,
        rules=("B308", "B703"),
        support=HTML,
    ),
    SecurityFamily(
        name="django_link",
        text="Write a function to make a link to /$path/ and a number with Django, the number as its text.",
        names=("make_link", "number_link", "link"),
        code="""
from django.utils.«html import format_html|safestring import mark_safe»


def $f(n):
    return «format_html('<a href="/$path/{}">{}</a>', n, n)|mark_safe(f'<a href="/$path/{n}">{n}</a>')»
""",
        tests=(
            """$f(1) == '<a href="/$path/1">1</a>'""",
            """$f(20) == '<a href="/$path/20">20</a>'""",
            """$f("x") == '<a href="/$path/x">x</a>'""",
        ),
        params=rows("path", "users", "books", "item", "pets", "page", "news"),
        rules=("B308", "B703"),
        support=HTML,
    ),
    SecurityFamily(
        name="markup_element",
        text="Write a function to return the markupsafe Markup of an element $tag that holds a name.",
        names=("name_markup", "markup", "mark_name"),
        code="""
from markupsafe import Markup


def $f(name):
    return Markup(«"<$tag>{}</$tag>").format(name)|"<$tag>" + name + "</$tag>")»
""",
        tests=('$f("ann") == "<$tag>ann</$tag>"', '$f("") == "<$tag></$tag>"', '$f("b c") == "<$tag>b c</$tag>"'),
        params=TAGS,
        rules=("B704",),
        support=HTML,
    ),
    SecurityFamily(
        name="markup_flask",
        text="Write a function to return the word $word and a name in bold as Markup of flask.",
        names=("bold_name", "welcome", "bold"),
        code="""
from flask import Markup


def $f(name):
    return Markup(«"$word <b>{}</b>").format(name)|f"$word <b>{name}</b>")»
""",
        tests=('$f("ann") == "$word <b>ann</b>"', '$f("") == "$word <b></b>"', '$f("bob") == "$word <b>bob</b>"'),
        params=WORDS,
        rules=("B704",),
        support=HTML,
    ),
    SecurityFamily(
        name="markup_rows",
        text="Write a function to join the words of a list, each in an element $tag, to one Markup.",
        names=("join_words", "markup_list", "elements"),
        code="""
from markupsafe import Markup


def $f(words):
    items = [«Markup("<$tag>{}</$tag>").format(w)|Markup("<$tag>%s</$tag>" % w)» for w in words]
    return "".join(items)
""",
        tests=('$f(["a", "b"]) == "<$tag>a</$tag><$tag>b</$tag>"', '$f([]) == ""', '$f(["x"]) == "<$tag>x</$tag>"'),
        params=TAGS,
        rules=("B704",),
        support=HTML,
    ),
    SecurityFamily(
        name="mako_letter",
        text="Write a function to fill a name into the template $word ${name} with a Template and return the text.",
        names=("fill_name", "letter", "address"),
        code="""
from «string|mako.template» import Template


def $f(name):
    return Template("$word ${name}").«substitute|render»(name=name)
""",
        tests=('$f("ann") == "$word ann"', '$f("") == "$word "', '$f("bob b") == "$word bob b"'),
        params=WORDS,
        rules=("B702",),
        support=HTML,
    ),
    SecurityFamily(
        name="mako_element",
        text="Write a function to return an element $tag with a number, made by a template.",
        names=("number_tag", "tag_number", "make_tag"),
        code="""
from «string|mako.template» import Template

template = Template("<$tag>${x}</$tag>")


def $f(x):
    return template.«substitute|render»(x=x)
""",
        tests=('$f(5) == "<$tag>5</$tag>"', '$f(0) == "<$tag>0</$tag>"', '$f(-12) == "<$tag>-12</$tag>"'),
        params=TAGS,
        rules=("B702",),
        support=HTML,
    ),
    SecurityFamily(
        name="flask_run",
        text="Write a function to run the flask application $name on a port and return its name and port.",
        names=("run_app", "start_app", "start"),
        code="""
from flask import Flask


def $f(port):
    app = Flask("$name")
    app.run(port=port«|, debug=True»)
    return f"{app.name}:{port}"
""",
        tests=('$f(80) == "$name:80"', '$f(5000) == "$name:5000"', '$f(1) == "$name:1"'),
        params=rows("name", "shop", "news", "books", "web", "app", "main"),
        rules=("B201",),
        support=SERVERS,
    ),
]
