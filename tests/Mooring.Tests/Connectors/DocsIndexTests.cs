using Mooring.Connectors.Docs;
using Xunit;

namespace Mooring.Tests.Connectors;

public sealed class DocsIndexTests : IDisposable
{
    private readonly ContentFolder _folder = new();
    private readonly FakeClock _clock = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Scan_FilesChangedAddedRemoved_ReadsOnlyThose()
    {
        _folder.Write("a.md", "# Apple").Write("b.md", "# Banana").Write("c.md", "# Cherry");
        await using var index = await ScannedAsync();
        Assert.Equal(3, index.FilesRead);

        _folder.Write("b.md", "# Blueberry").Write("d/index.mdx", "# Date").Delete("c.md");
        await index.ScanAsync(Cancel);

        Assert.Equal(5, index.FilesRead);
        Assert.Equal(["/a", "/b", "/d"], await RoutesAsync(index));
        Assert.Empty(await SearchAsync(index, "banana cherry"));
        Assert.Equal(["/b"], await SearchAsync(index, "blueberry"));
        Assert.Equal(["/d"], await SearchAsync(index, "date"));
    }

    [Fact]
    public async Task Scan_NothingChanged_ReadsNothing()
    {
        _folder.Write("a.md", "# Apple <include>part.txt</include>").Write("part.txt", "x").WriteBytes("bad.md", [0xff]);
        await using var index = await ScannedAsync();

        await index.ScanAsync(Cancel);

        Assert.Equal(2, index.FilesRead);
        Assert.Single(_folder.Log.Of("DocsFileSkipped"));
    }

    [Fact]
    public async Task Scan_IncludedFileChangesAppearsAndGoes_PagesThatNameItAreReadAgain()
    {
        _folder.Write("a.md", "<include>.parts/p.md</include>").Write("b.md", "no include");
        await using var index = await ScannedAsync();

        _folder.Write(".parts/p.md", "walnut");
        await index.ScanAsync(Cancel);
        Assert.Equal(["/a"], await SearchAsync(index, "walnut"));

        _folder.Write(".parts/p.md", "hazelnut");
        await index.ScanAsync(Cancel);
        Assert.Equal(["/a"], await SearchAsync(index, "hazelnut"));
        Assert.Empty(await SearchAsync(index, "walnut"));

        _folder.Delete(".parts/p.md");
        await index.ScanAsync(Cancel);
        Assert.Empty(await SearchAsync(index, "hazelnut"));
        Assert.Equal(5, index.FilesRead);
    }

    [Fact]
    public async Task Scan_BrokenFilesAmongGoodOnes_AreLoggedAndLeftOut()
    {
        _folder.Write("good.md", "# Good").Write("yaml.md", "---\n: : [\n---\n").WriteBytes("bytes.md", [0xc3, 0x28]).Write("huge.md", new string('x', 5000));
        await using var index = _folder.Index(_folder.Settings with { MaxFileSize = 4000 });

        await index.ScanAsync(Cancel);

        Assert.Equal(["/good"], await RoutesAsync(index));
        Assert.Equal(3, _folder.Log.Of("DocsFileSkipped").Count);

        _folder.Write("yaml.md", "# Mended");
        await index.ScanAsync(Cancel);
        Assert.Equal(["/good", "/yaml"], await RoutesAsync(index));
    }

    [Fact]
    public async Task Scan_FoldersOfTools_HoldNoPages()
    {
        _folder.Write("a.md", "a").Write(".includes/b.md", "b").Write("x/.includes/c.mdx", "c").Write("node_modules/d.md", "d").Write("e.txt", "e");

        await using var index = await ScannedAsync();

        Assert.Equal(["/a"], await RoutesAsync(index));
    }

    [Fact]
    public async Task Scan_IncludeAndExclude_ChooseTheFiles()
    {
        _folder.Write("guides/a.md", "a").Write("guides/draft/b.md", "b").Write("c.md", "c");
        await using var index = _folder.Index(_folder.Settings with { Include = [Glob.Parse("guides/**")], Exclude = [Glob.Parse("**/draft/*")] });

        await index.ScanAsync(Cancel);

        Assert.Equal(["/guides/a"], await RoutesAsync(index));
    }

    [Fact]
    public async Task Scan_LinksOutOfTheFolder_AreNoPages()
    {
        _folder.WriteOutside("secret.md", "# Secret").Write("a.md", "# A").Write("..data/real.md", "# Real");
        _folder.Link("secret.md", Path.Combine(_folder.Outside, "secret.md"));
        _folder.Link("linked", _folder.Outside);
        _folder.Link("self", _folder.Path);
        _folder.Link("real.md", "..data/real.md");

        await using var index = await ScannedAsync();

        Assert.Equal(["/a", "/real"], await RoutesAsync(index));
    }

    [Fact]
    public async Task Scan_FolderIsALinkThatIsSwitched_ServesTheOther()
    {
        _folder.Write("v1/a.md", "# Old").Write("v2/a.md", "# New");
        _folder.Link("current", "v1");
        await using var index = _folder.Index(new DocsSettings { Path = Path.Combine(_folder.Path, "current") });
        await index.ScanAsync(Cancel);
        Assert.Single(await SearchAsync(index, "old"));

        _folder.Delete("current");
        _folder.Link("current", "v2");
        await index.ScanAsync(Cancel);

        Assert.Empty(await SearchAsync(index, "old"));
        Assert.Single(await SearchAsync(index, "new"));
    }

    [Fact]
    public async Task Scan_TwoFilesWantOneRoute_BothCanBeRead()
    {
        _folder.Write("a.md", "# First").Write("a/index.md", "# Second").Write("b.md", "---\nroute: /A/\n---\nThird");

        await using var index = await ScannedAsync();

        var snapshot = await index.SnapshotAsync(Cancel);
        Assert.Equal(["/a", "/a/index.md", "/b.md"], snapshot.Routes.Select(page => page.Route));
        Assert.Equal("First", snapshot.FindByRoute("/A")!.Value.Page.Title);
        Assert.Equal("Second", snapshot.FindByPath("a/index.md")!.Value.Page.Title);
        Assert.Equal(2, _folder.Log.Of("DocsRouteContested").Count);
    }

    [Fact]
    public async Task Scan_FolderGoesAway_LastPagesStayAndItsReturnIsSeen()
    {
        _folder.Write("a.md", "# Apple");
        await using var index = await ScannedAsync();
        var away = _folder.Path + "-away";

        Directory.Move(_folder.Path, away);
        Assert.Equal(new ReindexResult(false, 1), await index.ReindexAsync(Cancel));
        Assert.Equal(["/a"], await SearchAsync(index, "apple"));

        Directory.Move(away, _folder.Path);
        _folder.Write("b.md", "# Berry");
        Assert.Equal(new ReindexResult(true, 2), await index.ReindexAsync(Cancel));
    }

    [Fact]
    public async Task Snapshot_FolderNeverThere_SaysSo()
    {
        await using var index = _folder.Index(new DocsSettings { Path = Path.Combine(_folder.Path, "none") }, _clock);
        index.Start();

        var error = await Assert.ThrowsAsync<DocsUnavailableException>(() => index.SnapshotAsync(Cancel));

        Assert.DoesNotContain(_folder.Path, error.Message, StringComparison.Ordinal);
        Assert.Single(_folder.Log.Of("DocsFolderUnreadable"));
    }

    [Fact]
    public async Task Reindex_NothingChanged_ReadsAllAgain()
    {
        _folder.Write("a.md", "# Apple").Write("b.md", "# Berry");
        await using var index = await ScannedAsync();

        Assert.Equal(new ReindexResult(true, 2), await index.ReindexAsync(Cancel));

        Assert.Equal(4, index.FilesRead);
        Assert.Equal(["/a"], await SearchAsync(index, "apple"));
    }

    [Fact(Timeout = 60_000)]
    public async Task Loop_IntervalPasses_ChangeIsSeen()
    {
        _folder.Write("a.md", "# Apple");
        await using var index = _folder.Index(time: _clock);
        index.Start();
        Assert.Equal(["/a"], await RoutesAsync(index));
        await _clock.WaitForTimersAsync(1);

        _folder.Write("b.md", "# Berry");

        // The watcher may be first; either way the page appears, and without real waiting only the clock brings it.
        while ((await RoutesAsync(index)).Count == 1)
        {
            _clock.Advance(DocsIndex.ScanInterval);
            await Task.Yield();
        }

        Assert.Equal(["/b"], await SearchAsync(index, "berry"));
    }

    [Fact(Timeout = 60_000)]
    public async Task Loop_FileSystemReportsAChange_IsSeenAfterItSettles()
    {
        _folder.Write("a.md", "# Apple");
        await using var index = _folder.Index(time: _clock);
        index.Start();
        Assert.Equal(["/a"], await RoutesAsync(index));

        await _clock.WaitForTimersAsync(1);

        _folder.Write("b.md", "# Berry");
        while ((await RoutesAsync(index)).Count == 1)
        {
            Assert.SkipWhen(_folder.Log.Of("DocsNotWatched").Count > 0, "This machine has no watch left to give.");
            // One timer is the interval; a second is the loop letting things settle. Only that one is let go.
            if (_clock.ArmedTimers > 1)
            {
                _clock.Advance(DocsIndex.Settle);
            }

            await Task.Yield();
        }

        Assert.Equal(["/b"], await SearchAsync(index, "berry"));
        Assert.InRange(_clock.Elapsed, TimeSpan.Zero, DocsIndex.ScanInterval - DocsIndex.Settle);
    }

    [Fact]
    public async Task Scan_MostOfManyFilesChanged_ReadsAllIntoANewTable()
    {
        for (var i = 0; i < 80; i++)
        {
            _folder.Write($"p{i}.md", $"# Page {i}\n\nword{i}x");
        }

        await using var index = await ScannedAsync();
        for (var i = 0; i < 60; i++)
        {
            _folder.Write($"p{i}.md", $"# Page {i}\n\nother{i}x");
        }

        await index.ScanAsync(Cancel);

        Assert.Equal(160, index.FilesRead);
        Assert.Empty(await SearchAsync(index, "word3x"));
        Assert.Equal(["/p3"], await SearchAsync(index, "other3x"));
        Assert.Equal(["/p70"], await SearchAsync(index, "word70x"));
    }

    [Fact]
    public async Task Search_WhilePagesChange_EveryAnswerIsOfOneScan()
    {
        // Each version of the page names its number in route, title and text: an answer must never mix two.
        Write(0);
        await using var index = await ScannedAsync();
        using var done = new CancellationTokenSource();
        var searchers = Enumerable.Range(0, 2).Select(_ => Task.Run(async () =>
        {
            var answers = 0;
            while (!done.IsCancellationRequested || answers == 0)
            {
                var hit = Assert.Single(await index.SearchAsync(SearchQuery.Parse("constant")!, 5, Cancel));
                var number = hit.Page.Route[2..];
                Assert.Equal($"Title {number}", hit.Page.Page.Title);
                Assert.Contains($"text{number} ", hit.Excerpt, StringComparison.Ordinal);
                answers++;
                await Task.Yield();
            }
        })).ToArray();

        for (var i = 1; i <= 20; i++)
        {
            Write(i);
            await index.ScanAsync(Cancel);
        }

        await done.CancelAsync();
        await Task.WhenAll(searchers);

        void Write(int i) => _folder.Write("p.md", $"---\nroute: /v{i}\ntitle: Title {i}\n---\nThe constant text{i} stands here.");
    }

    [Fact]
    public async Task Dispose_WithAnswersAsked_EndsThemWithAMessage()
    {
        _folder.Write("a.md", "# Apple");
        var index = await ScannedAsync();

        await index.DisposeAsync();

        await Assert.ThrowsAsync<DocsUnavailableException>(() => index.SnapshotAsync(Cancel));
    }

    private async Task<DocsIndex> ScannedAsync()
    {
        var index = _folder.Index(time: _clock);
        await index.ScanAsync(Cancel);
        return index;
    }

    private static async Task<IReadOnlyList<string>> RoutesAsync(DocsIndex index) =>
        [.. (await index.SnapshotAsync(Cancel)).Routes.Select(page => page.Route)];

    private static async Task<IReadOnlyList<string>> SearchAsync(DocsIndex index, string text) =>
        [.. (await index.SearchAsync(SearchQuery.Parse(text)!, 10, Cancel)).Select(hit => hit.Page.Route)];
}
