using System.Text.Json;

namespace Mooring.Connectors.Docs;

/// <summary>One page as it was read; never changed after that.</summary>
internal sealed record Page
{
    /// <summary>Its number in the search table. A page that is read again gets a new one.</summary>
    public required int Id { get; init; }

    /// <summary>Path relative to the content folder, with '/'.</summary>
    public required string FilePath { get; init; }

    /// <summary>The route it asks for; <see cref="DocsSnapshot"/> decides who gets a route that two ask for.</summary>
    public required string WantedRoute { get; init; }

    public required string Title { get; init; }

    /// <summary>What the front matter says the page is about; may be empty.</summary>
    public required string Description { get; init; }

    public required JsonElement FrontMatter { get; init; }

    /// <summary>The source without its front matter, includes resolved.</summary>
    public required string Body { get; init; }

    /// <summary>Heading and anchor of each section, in the order of the page. The words themselves lie in the search table only.</summary>
    public required IReadOnlyList<SectionHead> Sections { get; init; }

    public bool IsMdx => FilePath.EndsWith(".mdx", StringComparison.OrdinalIgnoreCase);
}

/// <param name="Heading">Empty for what stands before the first heading.</param>
/// <param name="Anchor">Empty where the link is the page itself.</param>
internal readonly record struct SectionHead(string Heading, string Anchor);

/// <summary>What came of reading one file.</summary>
/// <param name="Page">Null when the file cannot be a page; <paramref name="Problem"/> then says why.</param>
/// <param name="Sections">The words for the search table, in the order of <see cref="Page.Sections"/>.</param>
/// <param name="Includes">Every file the page took in or wanted to, with the stamp it had: when one changes, the page is read again.</param>
/// <param name="Warnings">What did not work but leaves the page usable.</param>
internal sealed record ReadPage(
    Page? Page, IReadOnlyList<PageSection> Sections, IReadOnlyDictionary<string, FileStamp> Includes, IReadOnlyList<string> Warnings, string? Problem);
