using Mooring.Connectors.Docs;
using Xunit;

namespace Mooring.Tests.Connectors;

public sealed class DocsPageTests : IDisposable
{
    private readonly ContentFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("index.mdx", "/")]
    [InlineData("guide.md", "/guide")]
    [InlineData("guide/index.mdx", "/guide")]
    [InlineData("guide/deep/index.md", "/guide/deep")]
    [InlineData("guide/v1.2.md", "/guide/v1.2")]
    [InlineData("guide/reindex.md", "/guide/reindex")]
    public void FromPath_FileWithoutRoute_IsItsPath(string filePath, string route) => Assert.Equal(route, Routes.FromPath(filePath));

    [Theory]
    [InlineData("route: /a/b", "/a/b")]
    [InlineData("slug: a/b/", "/a/b")]
    [InlineData("pathname: '/a//b'", "/a/b")]
    [InlineData("href: https://docs.example.com/a/b?x=1#y", "/a/b")]
    [InlineData("route: /", "/")]
    [InlineData("slug: second\nroute: first", "/first")]
    [InlineData("route: ''\nslug: second", "/second")]
    [InlineData("route: [1]\nhref: fourth", "/fourth")]
    [InlineData("title: none", "/folder/page")]
    public void Read_RouteInFrontMatter_IsTakenInOrderOfKeys(string yaml, string route)
    {
        _folder.Write("folder/page.mdx", $"---\n{yaml}\n---\nText");

        Assert.Equal(route, _folder.Read("folder/page.mdx").Page!.WantedRoute);
    }

    [Theory]
    [InlineData("---\ntitle: Given\n---\n# Heading", "Given")]
    [InlineData("---\r\ntitle: Given\r\n---\r\nText", "Given")]
    [InlineData("\uFEFF---\ntitle: Given\n---\nText", "Given")]
    [InlineData("---\ntitle: Given\n...\nText", "Given")]
    [InlineData("---\ntitle: 2024\n---\nText", "2024")]
    [InlineData("---\n---\n# Heading", "Heading")]
    [InlineData("---\n# only a comment\n---\n# Heading", "Heading")]
    [InlineData("Words first.\n\n# `Code` and *more*\n", "Code and more")]
    [InlineData("Heading\n=======\n", "Heading")]
    [InlineData("No heading", "page")]
    [InlineData("---\nA line, then a heading\n---\n", "page")]
    [InlineData("--- not front matter\n# Heading", "Heading")]
    [InlineData("---\ntitle: never closed\n", "page")]
    [InlineData("", "page")]
    public void Read_Titles_ComeFromFrontMatterThenHeadingThenFile(string source, string title)
    {
        _folder.Write("page.md", source);

        Assert.Equal(title, _folder.Read("page.md").Page!.Title);
    }

    [Fact]
    public void Read_FrontMatterOfAllKinds_BecomesJson()
    {
        _folder.Write("p.md", """
            ---
            text: plain
            quoted: "5"
            whole: 5
            real: -1.5e3
            zeros: 007
            yes: true
            none: ~
            date: 2024-05-01
            list: [a, 1]
            map: { k: v }
            base: &x { a: 1 }
            again: *x
            ---
            """);

        Assert.Equal(
            """{"text":"plain","quoted":"5","whole":5,"real":-1500,"zeros":"007","yes":true,"none":null,"date":"2024-05-01","list":["a",1],"map":{"k":"v"},"base":{"a":1},"again":{"a":1}}""",
            _folder.Read("p.md").Page!.FrontMatter.GetRawText());
    }

    [Theory]
    [InlineData("---\ntitle: [open\n---\n", "not valid YAML")]
    [InlineData("---\n- a\n- b\n---\n", "not a list of names")]
    [InlineData("---\na: 1\na: 2\n---\n", "holds the name 'a' twice")]
    [InlineData("---\na: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d,*d]\n---\n", "more than")]
    [InlineData("---\na: &a [*a]\n---\n", "not named before")]
    public void Read_BrokenFrontMatter_IsAProblemOfThatFile(string source, string problem)
    {
        _folder.Write("p.md", source);

        var read = _folder.Read("p.md");

        Assert.Null(read.Page);
        Assert.Contains(problem, read.Problem, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("[")]
    [InlineData("{a: ")]
    [InlineData("- ")]
    [InlineData("? ")]
    [InlineData("a:\n")]
    public void Read_FrontMatterOfNestingAlone_IsAProblemAndNotTheEndOfTheProcess(string mark)
    {
        foreach (var count in new[] { 33, 1000, 10_000, 250_000 })
        {
            _folder.Write("p.md", $"---\n{string.Concat(Enumerable.Repeat(mark, count))}\n---\n");

            Assert.StartsWith("the front matter ", _folder.Read("p.md").Problem, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Read_InvalidUtf8AndTooLarge_AreProblemsOfThatFile()
    {
        _folder.WriteBytes("bad.md", [0x23, 0x20, 0xff, 0xfe]).Write("large.md", new string('x', 2000));

        Assert.Contains("UTF-8", _folder.Read("bad.md").Problem, StringComparison.Ordinal);
        Assert.Contains("2000 bytes", _folder.Read("large.md", maxFileSize: 1999).Problem, StringComparison.Ordinal);
        Assert.NotNull(_folder.Read("large.md", maxFileSize: 2000).Page);
    }

    [Fact]
    public void Read_Mdx_LeavesOnlyWhatAReaderSees()
    {
        var sections = PageText.Read(
            """
            import { Card } from '../card'
            export const meta = {
              hidden: 1,
            }

            # The **title**

            Words with `code <b>`, [a link](https://example.com/(x)), ![a picture](/p.png) and a\_b, snake_case, 2 * 3.
            {/* a comment
            # not a heading

            over lines */}After it.

              <Tabs items={['one', 'two']}>
                <Card title="Visible title" href="/hidden" description={"Visible words"} onClick={() => a > b} />
                ## Indented heading {#own-id}
                Inside &amp; out.
              </Tabs>

            > [!WARNING]
            > Mind the gap.

            - [x] done
            1. first

            | Head | Row |
            | ---- | --- |
            | cell | two |

            ```ts title="x"
            # no heading
            const shown = true;
            ```

            Last {" "}words {hidden.value}.
            """,
            mdx: true);

        Assert.Equal([("The title", ""), ("Indented heading", "own-id")], sections.Select(section => (section.Heading, section.Anchor)));
        Assert.Equal(
            """
            Words with code <b>, a link, a picture and a_b, snake_case, 2 * 3.
            After it.
            Visible title Visible words
            """.ReplaceLineEndings("\n"),
            Squeeze(sections[0].Text));
        Assert.Equal(
            """
            Inside & out.
            WARNING
            Mind the gap.
            done
            first
            Head Row
            cell two
            # no heading
            const shown = true;
            Last words .
            """.ReplaceLineEndings("\n"),
            Squeeze(sections[1].Text));
    }

    [Fact]
    public void Read_Markdown_KeepsBracesAndKnowsIndentedCode()
    {
        var sections = PageText.Read("Use {name} here.\n\n    # not a heading\n\nTitle\n-----\nimport this line", mdx: false);

        Assert.Equal(["", "Title"], sections.Select(section => section.Heading));
        Assert.Contains("Use {name} here.", sections[0].Text, StringComparison.Ordinal);
        Assert.Equal("import this line", sections[1].Text);
    }

    [Theory]
    [InlineData("Getting started", "getting-started")]
    [InlineData("What's new in 2.0?", "whats-new-in-20")]
    [InlineData("C# & F#", "c--f")]
    [InlineData("Übersicht der API", "übersicht-der-api")]
    [InlineData("snake_case-name", "snake_case-name")]
    public void Make_Heading_IsWhatDocsSitesMakeOfIt(string heading, string anchor) => Assert.Equal(anchor, new AnchorMaker().Make(heading));

    [Fact]
    public void Make_SameHeadingAgain_IsCounted()
    {
        var anchors = new AnchorMaker();

        Assert.Equal(["a", "a-1", "a-2", "a-1-1"], new[] { "A", "A", "A", "A-1" }.Select(anchors.Make));
    }

    [Fact]
    public void Read_HostileMarkup_IsReadToItsEnd()
    {
        // A reader that starts over at each mark would take minutes here, or overflow its stack; the word behind must still be found.
        foreach (var mark in new[] { "[", "<a ", "{", "`", "``x`", "![", "*", "](", "&", ">", "- ", "<a b={\"", "[a](", "[[a](b)](", "[x\n", "<include>", "`<include " })
        {
            var hostile = string.Concat(Enumerable.Repeat(mark, 400_000 / mark.Length));
            _folder.Write("p.mdx", $"{hostile}\n\nthe end").Write("p.md", $"{hostile}\n\nthe end");

            foreach (var file in new[] { "p.mdx", "p.md" })
            {
                Assert.EndsWith("the end", _folder.Read(file).Sections[^1].Text, StringComparison.Ordinal);
            }
        }
    }

    [Fact]
    public void Read_AnyMixOfMarks_IsAPageOrANamedProblem()
    {
        string[] marks =
        [
            "---", "\n", "\n", "\n", " ", " ", "a", "b: ", "title: ", "- ", "? ", "[", "]", "{", "}", "&a ", "*a", "!t ", "|", ">", "'", "\"", "#", "# ", "%", "@",
            "`", "```", "~~~", "<", "/>", "<!--", "-->", "{/*", "*/}", "<include>", "</include>", "p.mdx", "..", "/", "![", "](", ")", "*", "_", "\\", "&amp;", "&#x1;",
            "===", "\t", "\u0001", "\u200B", "é", "日", "\ud83d\ude00", "import ", "export ", ":::", "[^", "]:", "|--|", "1. ",
        ];
        var random = new Random(20260101);
        for (var i = 0; i < 3000; i++)
        {
            var source = (i % 2 == 0 ? "---\n" : "") + string.Concat(Enumerable.Range(0, random.Next(1, 60)).Select(_ => marks[random.Next(marks.Length)]));
            _folder.Write("p.mdx", source);

            var read = _folder.Read("p.mdx");

            Assert.True(read.Page is null ? read.Problem is not null && !read.Problem.StartsWith("it could not be understood", StringComparison.Ordinal) : read.Problem is null, $"{read.Problem}\n{source}");
            Assert.All(read.Sections, section => Assert.DoesNotContain('\u0001', section.Heading + section.Text));
        }
    }

    [Theory]
    [InlineData("**/*.md", "a.md", true)]
    [InlineData("**/*.md", "a/b/c.md", true)]
    [InlineData("**/*.md", "a.mdx", false)]
    [InlineData("*.md", "a/b.md", false)]
    [InlineData("guides/**", "guides/a/b.md", true)]
    [InlineData("guides/**/x.md", "guides/x.md", true)]
    [InlineData("guides/**/x.md", "other/x.md", false)]
    [InlineData("**/{a,b}?.md*", "q/b1.mdx", true)]
    [InlineData("**/{a,b}?.md*", "q/c1.mdx", false)]
    [InlineData("./a*b*c.md", "axxbxxc.md", true)]
    [InlineData("**/**/**/**/z", "a/a/a/a/a/a/a/a/a/a/y", false)]
    public void IsMatch_Patterns_MatchWholePaths(string pattern, string path, bool matches) => Assert.Equal(matches, Glob.Parse(pattern).IsMatch(path));

    private static string Squeeze(string text) => string.Join('\n', text.Split('\n').Select(line => string.Join(' ', line.Split(' ', StringSplitOptions.RemoveEmptyEntries))).Where(line => line.Length > 0));
}
