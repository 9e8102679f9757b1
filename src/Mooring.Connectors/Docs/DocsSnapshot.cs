using System.Collections.Frozen;

namespace Mooring.Connectors.Docs;

/// <summary>All pages as of one scan. Replaced as a whole, so that a reader sees one state throughout.</summary>
internal sealed class DocsSnapshot
{
    private readonly FrozenDictionary<string, Page> _byRoute;
    private readonly FrozenDictionary<string, Page> _byPath;
    private readonly FrozenDictionary<int, RoutedPage> _byId;

    /// <param name="pages">In the order of their file paths, which decides between two that ask for one route.</param>
    /// <param name="contested">Gets each page that did not get its route, and the route it has instead.</param>
    public DocsSnapshot(IReadOnlyList<Page> pages, Action<Page, string>? contested = null)
    {
        var byRoute = new Dictionary<string, Page>(StringComparer.OrdinalIgnoreCase);
        var byId = new Dictionary<int, RoutedPage>();
        var waiting = new List<Page>();
        foreach (var page in pages)
        {
            if (byRoute.TryAdd(page.WantedRoute, page))
            {
                byId[page.Id] = new RoutedPage(page.WantedRoute, page);
            }
            else
            {
                waiting.Add(page);
            }
        }

        foreach (var page in waiting)
        {
            // The file's whole name: no other file has it.
            var route = "/" + page.FilePath;
            while (!byRoute.TryAdd(route, page))
            {
                route += "~";
            }

            byId[page.Id] = new RoutedPage(route, page);
            contested?.Invoke(page, route);
        }

        _byRoute = byRoute.ToFrozenDictionary(StringComparer.OrdinalIgnoreCase);
        _byId = byId.ToFrozenDictionary();
        _byPath = pages.ToFrozenDictionary(page => page.FilePath, StringComparer.Ordinal);
        Routes = [.. byId.Values.OrderBy(page => page.Route, StringComparer.Ordinal)];
    }

    public static DocsSnapshot Empty { get; } = new([]);

    /// <summary>Every page, in the order of the routes.</summary>
    public IReadOnlyList<RoutedPage> Routes { get; }

    public RoutedPage? FindByRoute(string route) =>
        Docs.Routes.Normalize(route) is { } normal && _byRoute.TryGetValue(normal, out var page) ? _byId[page.Id] : null;

    public RoutedPage? FindByPath(string filePath)
    {
        var path = filePath.Trim().Replace('\\', '/');
        path = path.StartsWith("./", StringComparison.Ordinal) ? path[2..] : path.TrimStart('/');
        return _byPath.TryGetValue(path, out var page) ? _byId[page.Id] : null;
    }

    public RoutedPage ById(int id) => _byId[id];
}

/// <summary>A page and the route it has.</summary>
internal readonly record struct RoutedPage(string Route, Page Page);
