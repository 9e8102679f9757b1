using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using ModelContextProtocol;
using ModelContextProtocol.Protocol;

namespace Mooring.Connectors.Docs;

/// <summary>
/// Answers tool calls. What the caller can mend (arguments, a wrong route) is a result with <c>isError</c>, which a model gets to
/// see; only an unknown tool is an error of the protocol.
/// </summary>
internal sealed class DocsCalls(DocsIndex index)
{
    private const int Suggestions = 5;

    /// <exception cref="McpProtocolException">There is no such tool.</exception>
    public async ValueTask<CallToolResult> CallAsync(CallToolRequestParams? call, CancellationToken cancel)
    {
        var arguments = new ToolArguments(call?.Arguments);
        try
        {
            return call?.Name switch
            {
                DocsTools.Search => await SearchAsync(arguments, cancel),
                DocsTools.GetPage => await GetPageAsync(arguments, cancel),
                DocsTools.ListRoutes => await ListRoutesAsync(arguments, cancel),
                var name => throw new McpProtocolException(
                    $"Unknown tool '{name}'. The tools are {DocsTools.Search}, {DocsTools.GetPage} and {DocsTools.ListRoutes}.", McpErrorCode.InvalidParams),
            };
        }
        catch (DocsUnavailableException unavailable)
        {
            return Error(unavailable.Message);
        }
    }

    private async Task<CallToolResult> SearchAsync(ToolArguments arguments, CancellationToken cancel)
    {
        var query = arguments.Text("query", required: true, DocsTools.LongestQuery);
        var limit = arguments.Whole("limit", 1, DocsTools.LargestLimit, DocsTools.DefaultLimit);
        if (arguments.Problems.Count > 0)
        {
            return Invalid(DocsTools.Search, arguments.Problems);
        }

        if (SearchQuery.Parse(query!) is not { } parsed)
        {
            return Answer(new SearchAnswer(query!, [], "The query holds no letters or digits, so there is nothing to look for."), DocsJson.Readable.SearchAnswer);
        }

        var hits = await index.SearchAsync(parsed, limit, cancel);
        var note = hits.Count == 0 ? $"No page holds any of these words. Try other words, or see what there is with {DocsTools.ListRoutes}." : null;
        return Answer(new SearchAnswer(query!, [.. hits.Select(SearchAnswerHit.From)], note), DocsJson.Readable.SearchAnswer);
    }

    private async Task<CallToolResult> GetPageAsync(ToolArguments arguments, CancellationToken cancel)
    {
        var route = arguments.Text("route");
        var filePath = arguments.Text("filePath");
        var include = arguments.Within("include");
        var (mdx, text, frontMatter) = (include.Flag("mdx", true), include.Flag("text", true), include.Flag("frontmatter", true));
        string[] problems = [.. arguments.Problems, .. include.Problems];
        if (problems.Length > 0)
        {
            return Invalid(DocsTools.GetPage, problems);
        }

        if (string.IsNullOrWhiteSpace(route) && string.IsNullOrWhiteSpace(filePath))
        {
            return Invalid(DocsTools.GetPage, ["route or filePath is needed"]);
        }

        var snapshot = await index.SnapshotAsync(cancel);
        var found = (string.IsNullOrWhiteSpace(route) ? null : snapshot.FindByRoute(route))
            ?? (string.IsNullOrWhiteSpace(filePath) ? null : snapshot.FindByPath(filePath));
        if (found is not { } routed)
        {
            return NotFound(snapshot, string.IsNullOrWhiteSpace(route) ? filePath! : route);
        }

        var page = routed.Page;
        return Answer(
            new PageAnswer(
                routed.Route, page.Title, page.FilePath,
                frontMatter ? page.FrontMatter : null,
                mdx ? page.Body : null,
                text ? PageText.Flatten(PageText.Read(page.Body, page.IsMdx)) : null),
            DocsJson.Readable.PageAnswer);
    }

    private async Task<CallToolResult> ListRoutesAsync(ToolArguments arguments, CancellationToken cancel)
    {
        var prefix = arguments.Text("prefix")?.Trim() is { Length: > 0 } given ? given : null;
        if (arguments.Problems.Count > 0)
        {
            return Invalid(DocsTools.ListRoutes, arguments.Problems);
        }

        var snapshot = await index.SnapshotAsync(cancel);
        var routes = snapshot.Routes
            .Where(routed => prefix is null || Routes.HasPrefix(routed.Route, prefix))
            .Select(routed => new RouteAnswer(routed.Route, routed.Page.Title, routed.Page.FilePath));
        return Answer(new RoutesAnswer(prefix, [.. routes]), DocsJson.Readable.RoutesAnswer);
    }

    private static CallToolResult NotFound(DocsSnapshot snapshot, string wanted)
    {
        var nearest = Routes.Nearest(Routes.Normalize(wanted) ?? "/", snapshot.Routes.Select(routed => routed.Route), Suggestions);
        return Error(nearest.Count == 0
            ? $"There is no page '{wanted}': the documentation holds no pages."
            : $"There is no page '{wanted}'. The nearest routes are: {string.Join(", ", nearest)}. {DocsTools.Search} finds pages by their words.");
    }

    private static CallToolResult Invalid(string tool, IEnumerable<string> problems) =>
        Error($"The arguments of {tool} are not right: {string.Join("; ", problems)}.");

    private static CallToolResult Error(string message) => new() { IsError = true, Content = [new TextContentBlock { Text = message }] };

    /// <summary>The same JSON twice: as structured content, and as text for the versions and clients that know only that.</summary>
    private static CallToolResult Answer<T>(T answer, JsonTypeInfo<T> type) => new()
    {
        StructuredContent = JsonSerializer.SerializeToElement(answer, type),
        Content = [new TextContentBlock { Text = JsonSerializer.Serialize(answer, type) }],
    };
}
