using Mooring.Connectors.Docs;
using Xunit;

namespace Mooring.Tests.Connectors;

public sealed class DocsSearchTests : IDisposable
{
    private readonly ContentFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Search_WordInTitleAndWordInTextOften_TitleComesFirst()
    {
        _folder.Write("a.md", $"# Notes\n\n{string.Concat(Enumerable.Repeat("We talk about deployment again and again. ", 40))}")
            .Write("b.md", "# Deployment\n\nHow a release reaches the servers.")
            .Write("c.md", "# Something else\n\nNothing of the kind.");

        var hits = await SearchAsync("deployment");

        Assert.Equal(["/b", "/a"], hits.Select(hit => hit.Page.Route));
        Assert.Equal(1, hits[0].Score);
        Assert.InRange(hits[1].Score, 0.0001, 0.9999);
    }

    [Fact]
    public async Task Search_WordInHeadingAndWordInText_HeadingComesFirst()
    {
        _folder.Write("a.md", "# A\n\nThe timeout is mentioned here, the timeout is.\n\n## Other\n\ntext")
            .Write("b.md", "# B\n\nSome words.\n\n## Timeout\n\nSet it in seconds.")
            .Write("c.md", "# C\n\nSome words.");

        Assert.Equal(["/b", "/a"], (await SearchAsync("timeout")).Select(hit => hit.Page.Route));
    }

    [Fact]
    public async Task Search_SeveralWords_PagesWithAllComeBeforePagesWithSome()
    {
        _folder.Write("both.md", "# Page\n\nFirst the gateway, later a certificate.")
            .Write("gateway.md", "# Gateway\n\nGateway gateway gateway.")
            .Write("certificate.md", "# Certificate\n\nAll about it.")
            .Write("none.md", "# Weather\n\nRain.");

        var hits = await SearchAsync("gateway certificate");

        Assert.Equal("/both", hits[0].Page.Route);
        Assert.Equal(["/certificate", "/gateway"], hits.Skip(1).Select(hit => hit.Page.Route).Order(StringComparer.Ordinal));
        Assert.All(hits.Skip(1), hit => Assert.InRange(hit.Score, 0.0001, 0.5));
    }

    [Fact]
    public async Task Search_WordsNextToEachOther_ComeBeforeWordsApart()
    {
        _folder.Write("a.md", "# One\n\nA session has many words and far away from it stands the table of the kitchen.")
            .Write("b.md", "# Two\n\nHere we explain the session table and what it holds for each of the clients.")
            .Write("c.md", "# Three\n\nother").Write("d.md", "# Four\n\nother").Write("e.md", "# Five\n\nother");

        Assert.Equal(["/b", "/a"], (await SearchAsync("session table")).Select(hit => hit.Page.Route));
    }

    [Fact]
    public async Task Search_QuotedWords_MustStandTogether()
    {
        _folder.Write("a.md", "# One\n\nkeep the alive").Write("b.md", "# Two\n\nthe keep alive comment");

        Assert.Equal(["/b"], (await SearchAsync("\"keep alive\"")).Select(hit => hit.Page.Route));
    }

    [Fact]
    public async Task Search_QuestionWithFiller_FindsWhatTheTellingWordsSay()
    {
        _folder.Write("a.md", "# Tokens\n\nRotate a token with the button.").Write("b.md", "# How\n\nhow do i what is the can you");

        Assert.Equal("/a", (await SearchAsync("How do I rotate the token?"))[0].Page.Route);
    }

    [Theory]
    [InlineData("authen", "/login")]
    [InlineData("AUTHENTICATION", "/login")]
    [InlineData("authenticate", "/login")]
    [InlineData("cafe creme", "/menu")]
    [InlineData("Café", "/menu")]
    [InlineData("cafe\u0301", "/menu")]
    [InlineData("docs_getPage", "/tools")]
    [InlineData("getpage", "/tools")]
    [InlineData("2025-11-25", "/version")]
    [InlineData("検索", "/nihongo")]
    [InlineData("übersicht", "/german")]
    [InlineData("ubersicht", "/german")]
    public async Task Search_BeginningsFormsAccentsAndScripts_AreFound(string query, string route)
    {
        _folder.Write("login.md", "# Login\n\nAbout authentication of people.")
            .Write("menu.md", "# Menu\n\nCafé crème and tea.")
            .Write("tools.md", "# Tools\n\nCall `docs_getPage` for it.")
            .Write("version.md", "# Version\n\nIt speaks 2025-11-25.")
            .Write("german.md", "# Deutsch\n\nDie Übersicht.")
            .Write("nihongo.md", "# 日本語\n\nこのページは全文検索について説明します。");

        Assert.Equal([route], (await SearchAsync(query)).Select(hit => hit.Page.Route));
    }

    [Fact]
    public async Task Search_HitDeepInPage_ExcerptHoldsItAndLinkPointsToItsSection()
    {
        var filler = string.Join("\n\n", Enumerable.Range(0, 50).Select(i => $"Paragraph {i} says little of interest."));
        _folder.Write("long.mdx", $"# Long page\n\n{filler}\n\n## First part\n\n{filler}\n\n## Second part\n\n{filler} The zebra crosses here. {filler}");

        var hit = Assert.Single(await SearchAsync("zebra"));

        Assert.Contains("zebra", hit.Excerpt, StringComparison.Ordinal);
        Assert.InRange(hit.Excerpt.Length, 50, 300);
        Assert.Equal(new SectionHead("Second part", "second-part"), hit.Best);
    }

    [Fact]
    public async Task Search_SeveralSectionsHoldTheWord_PageIsListedOnceWithTheOthers()
    {
        _folder.Write("p.md", "# Page\n\nintro\n\n## One\n\nbackup\n\n## Backup\n\nbackup backup\n\n## Three\n\nbackup");

        var hit = Assert.Single(await SearchAsync("backup"));

        Assert.Equal("backup", hit.Best?.Anchor);
        Assert.Equal(["one", "three"], hit.Others.Select(other => other.Anchor));
    }

    [Fact]
    public async Task Search_PagesShareASection_OneHitNamesTheOthers()
    {
        _folder.Write(".includes/login.mdx", "## Login\n\nThe kraken guards the login.").Write("other.mdx", "# Other\n\nAlso a kraken.");
        foreach (var name in new[] { "angular", "react", "vue" })
        {
            _folder.Write($"{name}.mdx", $"# {name}\n\nHow it works with {name}.\n\n<include>.includes/login.mdx</include>");
        }

        var hits = await SearchAsync("kraken", limit: 2);

        Assert.Equal([("/angular", "/react /vue"), ("/other", "")], hits.OrderBy(hit => hit.Page.Route, StringComparer.Ordinal)
            .Select(hit => (hit.Page.Route, string.Join(' ', hit.SameOn.Select(page => page.Route)))));
    }

    [Fact]
    public async Task Search_HeadingWithoutText_ExcerptIsOfTheSectionBelow()
    {
        _folder.Write("p.md", "# Page\n\n## Quota control\n\n### Change it\n\nSet the quota with this call.");

        var hit = Assert.Single(await SearchAsync("quota control"));

        Assert.Equal("quota-control", hit.Best?.Anchor);
        Assert.Equal("Set the quota with this call.", hit.Excerpt);
    }

    [Fact]
    public async Task Search_WordOnlyInTitleOfFrontMatter_ExcerptIsTheDescription()
    {
        _folder.Write("p.md", "---\ntitle: Telemetry\ndescription: What the gateway tells about itself.\n---\nNumbers.");

        var hit = Assert.Single(await SearchAsync("telemetry"));

        Assert.Equal("What the gateway tells about itself.", hit.Excerpt);
        Assert.Null(hit.Best);
    }

    [Theory]
    [InlineData("")]
    [InlineData("   ")]
    [InlineData("\"")]
    [InlineData("😀 🎉")]
    [InlineData("*** --- ()")]
    public void Parse_NothingToLookFor_IsNull(string text) => Assert.Null(SearchQuery.Parse(text));

    [Theory]
    [InlineData("alpha AND")]
    [InlineData("NOT alpha")]
    [InlineData("alpha NEAR(beta, 2)")]
    [InlineData("title:alpha")]
    [InlineData("{title} : alpha")]
    [InlineData("alpha\" OR \"beta")]
    [InlineData("\"alpha")]
    [InlineData("alpha*")]
    [InlineData("^alpha")]
    [InlineData("alpha'; DROP TABLE pages; --")]
    [InlineData("alpha 😀")]
    [InlineData("(alpha")]
    [InlineData("alpha\0beta")]
    [InlineData("-alpha +beta")]
    [InlineData("\\alpha \u0001 \ud83d")]
    public async Task Search_TextFullOfOperators_IsTakenAsWords(string text)
    {
        _folder.Write("a.md", "# A\n\nalpha").Write("b.md", "# B\n\nbeta");

        Assert.Contains("/a", (await SearchAsync(text)).Select(hit => hit.Page.Route));
    }

    [Fact]
    public async Task Search_ThousandsOfWords_IsAnswered()
    {
        _folder.Write("a.md", "# A\n\nalpha");

        Assert.Single(await SearchAsync("alpha " + string.Join(' ', Enumerable.Range(0, 5000).Select(i => $"w{i}"))));
    }

    [Fact]
    public void Excerpt_HitsFarApart_ShowsTheStretchWithMostDifferentWords()
    {
        var gap = string.Concat(Enumerable.Repeat("word ", 100));

        var excerpt = SearchText.Excerpt($"\u0001alpha\u0002 {gap} \u0001alpha\u0002 near \u0001beta\u0002 {gap}");

        Assert.Contains("alpha near beta", excerpt, StringComparison.Ordinal);
        Assert.StartsWith("… ", excerpt, StringComparison.Ordinal);
        Assert.EndsWith(" …", excerpt, StringComparison.Ordinal);
    }

    private async Task<IReadOnlyList<SearchHit>> SearchAsync(string text, int limit = 10)
    {
        await using var index = _folder.Index();
        await index.ScanAsync(TestContext.Current.CancellationToken);
        return await index.SearchAsync(SearchQuery.Parse(text)!, limit, TestContext.Current.CancellationToken);
    }
}
