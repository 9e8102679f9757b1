using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Mooring.Connectors.Docs;

/// <summary>The structured content of the tools; <see cref="DocsTools"/> holds the schemas of these.</summary>
internal sealed record SearchAnswer(string Query, IReadOnlyList<SearchAnswerHit> Hits, string? Note);

internal sealed record SearchAnswerHit(
    string Route, string Title, string FilePath, string Excerpt, double Score, string Link, string? Heading, IReadOnlyList<SectionLink>? Sections,
    IReadOnlyList<string>? SameOn)
{
    public static SearchAnswerHit From(SearchHit hit) => new(
        hit.Page.Route, hit.Page.Page.Title, hit.Page.Page.FilePath, hit.Excerpt, hit.Score,
        LinkTo(hit.Page.Route, hit.Best?.Anchor),
        hit.Best is { Heading.Length: > 0 } best ? best.Heading : null,
        hit.Others.Count == 0 ? null : [.. hit.Others.Select(other => new SectionLink(other.Heading, LinkTo(hit.Page.Route, other.Anchor)))],
        hit.SameOn.Count == 0 ? null : [.. hit.SameOn.Select(page => page.Route)]);

    private static string LinkTo(string route, string? anchor) => string.IsNullOrEmpty(anchor) ? route : $"{route}#{anchor}";
}

internal sealed record SectionLink(string Heading, string Link);

internal sealed record PageAnswer(string Route, string Title, string FilePath, JsonElement? Frontmatter, string? Mdx, string? Text);

internal sealed record RoutesAnswer(string? Prefix, IReadOnlyList<RouteAnswer> Routes);

internal sealed record RouteAnswer(string Route, string Title, string FilePath);

[JsonSerializable(typeof(SearchAnswer))]
[JsonSerializable(typeof(PageAnswer))]
[JsonSerializable(typeof(RoutesAnswer))]
internal sealed partial class DocsJson : JsonSerializerContext
{
    /// <summary>Leaves letters and quotes of the docs readable; the text is for people and models, never put into a page as it is.</summary>
    public static DocsJson Readable { get; } = new(new JsonSerializerOptions
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    });
}
