using Xunit;

namespace Mooring.Tests.Connectors;

public sealed class DocsIncludeTests : IDisposable
{
    private const string Secret = "the-secret-outside";

    private readonly ContentFolder _folder = new();

    public DocsIncludeTests() => _folder.WriteOutside("secret.md", Secret);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Include_PartOfOtherFolder_TakesItsPlaceWithoutFrontMatter()
    {
        _folder.Write(".includes/part.mdx", "---\ntitle: hidden\n---\nThe **part**.\n")
            .Write("a/page.mdx", "Before\n\n<include>../.includes/part.mdx</include>\n\nAfter <include cwd> ./../.includes/part.mdx </include>!");

        Assert.Equal("Before\n\nThe **part**.\n\nAfter The **part**.!", Body("a/page.mdx"));
    }

    [Fact]
    public void Include_InCode_IsLeftAlone()
    {
        const string Source = "```mdx\n<include>part.mdx</include>\n```\n\nWrite `<include>part.mdx</include>` or <includes>x</includes> or <include>open";
        _folder.Write("part.mdx", "PART").Write("page.mdx", Source);

        Assert.Equal(Source, Body("page.mdx"));
    }

    [Fact]
    public void Include_CodeFile_BecomesACodeBlockItCannotLeave()
    {
        _folder.Write("x.ts", "const a = `1`;\n```\nb\n").Write("page.mdx", "<include>x.ts</include>").Write("lang.mdx", "<include lang=\"js\">x.ts</include>");

        Assert.Equal("\n````ts\nconst a = `1`;\n```\nb\n````\n", Body("page.mdx"));
        Assert.StartsWith("\n````js\n", Body("lang.mdx"), StringComparison.Ordinal);
    }

    [Fact]
    public void Include_Nested_IsResolvedFromWhereEachFileLies()
    {
        _folder.Write("page.mdx", "<include>a/one.mdx</include>").Write("a/one.mdx", "1<include>b/two.mdx</include>").Write("a/b/two.mdx", "2<include>../three.mdx</include>").Write("a/three.mdx", "3");

        Assert.Equal("123", Body("page.mdx"));
        Assert.Equal(["a/b/two.mdx", "a/one.mdx", "a/three.mdx"], _folder.Read("page.mdx").Includes.Keys.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Include_Cycle_EndsWithAComment()
    {
        _folder.Write("a.mdx", "A<include>b.mdx</include>").Write("b.md", "").Write("b.mdx", "B<include>a.mdx</include>").Write("self.md", "S<include>self.md</include>");

        Assert.Equal("AB{/* include a.mdx: the file includes itself */}", Body("a.mdx"));
        Assert.Equal("S<!-- include self.md: the file includes itself -->", Body("self.md"));
    }

    [Fact]
    public void Include_TooDeep_EndsWithAComment()
    {
        for (var i = 0; i < 12; i++)
        {
            _folder.Write($"f{i}.mdx", $"{i} <include>f{i + 1}.mdx</include>");
        }

        Assert.Equal("0 1 2 3 4 5 6 7 8 {/* include f9.mdx: includes nest deeper than 8 */}", Body("f0.mdx"));
    }

    [Fact]
    public void Include_GrowsWithoutBound_PageIsLeftOut()
    {
        _folder.Write("page.mdx", string.Concat(Enumerable.Repeat("<include>a.mdx</include>\n", 20)))
            .Write("a.mdx", string.Concat(Enumerable.Repeat("<include>b.mdx</include>\n", 20))).Write("b.mdx", new string('x', 1000))
            .Write("many.mdx", string.Concat(Enumerable.Repeat("<include>c.mdx</include>\n", 300))).Write("c.mdx", "c");

        Assert.Contains("larger than maxFileSize", _folder.Read("page.mdx", maxFileSize: 50_000).Problem, StringComparison.Ordinal);
        Assert.Contains("more than 256 includes", _folder.Read("many.mdx").Problem, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("../outside/secret.md")]
    [InlineData("../../content/../outside/secret.md")]
    [InlineData("a/../../outside/secret.md")]
    [InlineData("ABSOLUTE")]
    [InlineData("file-link.md")]
    [InlineData("folder-link/secret.md")]
    [InlineData("a/up-link/../outside/secret.md")]
    [InlineData("relative-link.md")]
    [InlineData("chain-link.md")]
    [InlineData("..\\outside\\secret.md")]
    [InlineData("")]
    [InlineData(".")]
    [InlineData("a")]
    [InlineData("none.md")]
    [InlineData("loop-link.md")]
    public void Include_LeadsOutsideOrNowhere_IsNeverRead(string path)
    {
        _folder.Write("a/x.md", "x").Write("page.mdx", $"<include>{path.Replace("ABSOLUTE", Path.Combine(_folder.Outside, "secret.md"), StringComparison.Ordinal)}</include>");
        _folder.Link("file-link.md", Path.Combine(_folder.Outside, "secret.md"));
        _folder.Link("folder-link", _folder.Outside);
        _folder.Link("a/up-link", "../..");
        _folder.Link("relative-link.md", "../outside/secret.md");
        _folder.Link("chain-link.md", "file-link.md");
        _folder.Link("loop-link.md", "loop-link.md");

        var read = _folder.Read("page.mdx");

        Assert.StartsWith("{/* include ", read.Page!.Body, StringComparison.Ordinal);
        Assert.DoesNotContain(Secret, read.Page.Body, StringComparison.Ordinal);
        Assert.Single(read.Warnings);
    }

    [Fact]
    public void Include_LinkWithinTheFolder_IsRead()
    {
        _folder.Write("..v1/part.md", "PART").Write("page.md", "<include>part.md</include>");
        _folder.Link("..data", "..v1");
        _folder.Link("part.md", "..data/part.md");

        Assert.Equal("PART", Body("page.md"));
    }

    [Fact]
    public void Include_NeighbourFolderWithTheSameBeginning_IsOutside()
    {
        Directory.CreateDirectory(_folder.Path + "-private");
        File.WriteAllText(Path.Combine(_folder.Path + "-private", "secret.md"), Secret);
        _folder.Link("link.md", Path.Combine(_folder.Path + "-private", "secret.md"));
        _folder.Write("page.md", "<include>link.md</include><include>../content-private/secret.md</include>");

        Assert.DoesNotContain(Secret, Body("page.md"), StringComparison.Ordinal);
    }

    [Fact]
    public void Include_BrokenFiles_LeaveThePageUsable()
    {
        _folder.WriteBytes("bad.md", [0xff]).Write("yaml.md", "---\n[\n---\n").Write("large.md", new string('x', 3000))
            .Write("page.mdx", "A<include>bad.md</include>B<include>yaml.md</include>C<include>large.md</include>D");

        var read = _folder.Read("page.mdx", maxFileSize: 2000);

        Assert.Equal(3, read.Warnings.Count);
        Assert.StartsWith("A{/* include bad.md: the file is not valid UTF-8 */}B{/* include yaml.md: ", read.Page!.Body, StringComparison.Ordinal);
        Assert.EndsWith("*/}D", read.Page.Body, StringComparison.Ordinal);
    }

    [Fact]
    public void Include_PathThatClosesTheComment_StaysInIt()
    {
        _folder.Write("page.mdx", "<include>*/}<Evil/></include>").Write("page.md", "<include>--><b></include>");

        Assert.Equal("{/* include * /}<Evil/>: there is no such file in the content folder */}", Body("page.mdx"));
        Assert.Equal("<!-- include - -><b>: there is no such file in the content folder -->", Body("page.md"));
    }

    private string Body(string relative) => _folder.Read(relative).Page!.Body;
}
