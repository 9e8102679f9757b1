using System.Text.Json;
using ModelContextProtocol.Protocol;

namespace Mooring.Connectors.Docs;

/// <summary>Names, descriptions and schemas of the tools. Written out rather than derived, which costs no reflection at the start.</summary>
internal static class DocsTools
{
    public const string Search = "docs_search";
    public const string GetPage = "docs_getPage";
    public const string ListRoutes = "docs_listRoutes";

    public const int DefaultLimit = 8;
    public const int LargestLimit = 25;

    /// <summary>Longest query; more is no search any more.</summary>
    public const int LongestQuery = 1000;

    public static readonly IReadOnlyList<Tool> All =
    [
        ReadOnly(
            Search,
            "Search the documentation",
            """
            Full-text search over the documentation. Finds pages that hold all words of the query, then pages that hold some; the beginning of a word
            is enough, and "words in quotes" must stand together. Titles and headings weigh more than text. Each hit is one page with an excerpt and a
            link to the section that fits best. Read the page with docs_getPage before you answer from it.
            """.ReplaceLineEndings(" "),
            $$"""
            {
              "type": "object",
              "properties": {
                "query": { "type": "string", "minLength": 1, "maxLength": {{LongestQuery}}, "description": "Words to look for, such as: install behind proxy" },
                "limit": { "type": "integer", "minimum": 1, "maximum": {{LargestLimit}}, "default": {{DefaultLimit}}, "description": "Most pages to return" }
              },
              "required": ["query"]
            }
            """,
            """
            {
              "type": "object",
              "properties": {
                "query": { "type": "string" },
                "hits": {
                  "type": "array",
                  "description": "One per page, best first",
                  "items": {
                    "type": "object",
                    "properties": {
                      "route": { "type": "string", "description": "The page; give it to docs_getPage" },
                      "title": { "type": "string" },
                      "filePath": { "type": "string", "description": "Path of the source file within the documentation" },
                      "excerpt": { "type": "string", "description": "Words around the hit" },
                      "score": { "type": "number", "description": "1 for the best page of this search" },
                      "link": { "type": "string", "description": "The route with the anchor of the best section" },
                      "heading": { "type": "string", "description": "Heading of the best section" },
                      "sections": {
                        "type": "array",
                        "description": "Further sections of the page that hold the words",
                        "items": {
                          "type": "object",
                          "properties": { "heading": { "type": "string" }, "link": { "type": "string" } },
                          "required": ["heading", "link"]
                        }
                      },
                      "sameOn": { "type": "array", "description": "Routes of other pages that hold the very same section", "items": { "type": "string" } }
                    },
                    "required": ["route", "title", "filePath", "excerpt", "score", "link"]
                  }
                },
                "note": { "type": "string", "description": "Why there are no hits, or how to get better ones" }
              },
              "required": ["query", "hits"]
            }
            """),
        ReadOnly(
            GetPage,
            "Read a documentation page",
            "Returns one documentation page by its route or its file path: the source with its includes resolved (mdx), the plain words (text) and the front matter. Use the route of a docs_search hit or of docs_listRoutes.",
            """
            {
              "type": "object",
              "properties": {
                "route": { "type": "string", "description": "Route of the page, such as /guides/install" },
                "filePath": { "type": "string", "description": "Path of the source file, such as guides/install.mdx; used when no page has the route" },
                "include": {
                  "type": "object",
                  "description": "What to return of the page; everything unless set to false",
                  "properties": {
                    "mdx": { "type": "boolean", "default": true, "description": "The source" },
                    "text": { "type": "boolean", "default": true, "description": "The plain words" },
                    "frontmatter": { "type": "boolean", "default": true, "description": "The front matter" }
                  }
                }
              }
            }
            """,
            """
            {
              "type": "object",
              "properties": {
                "route": { "type": "string" },
                "title": { "type": "string" },
                "filePath": { "type": "string" },
                "frontmatter": { "type": "object" },
                "mdx": { "type": "string" },
                "text": { "type": "string" }
              },
              "required": ["route", "title", "filePath"]
            }
            """),
        ReadOnly(
            ListRoutes,
            "List documentation pages",
            "Lists the route, title and file of every documentation page, or of those whose route starts with a prefix. Shows how the documentation is built up; to find something, docs_search is better.",
            """
            {
              "type": "object",
              "properties": {
                "prefix": { "type": "string", "description": "Only routes that start with this, such as /guides" }
              }
            }
            """,
            """
            {
              "type": "object",
              "properties": {
                "prefix": { "type": "string" },
                "routes": {
                  "type": "array",
                  "items": {
                    "type": "object",
                    "properties": { "route": { "type": "string" }, "title": { "type": "string" }, "filePath": { "type": "string" } },
                    "required": ["route", "title", "filePath"]
                  }
                }
              },
              "required": ["routes"]
            }
            """),
    ];

    private static Tool ReadOnly(string name, string title, string description, string input, string output) => new()
    {
        Name = name,
        Title = title,
        Description = description,
        InputSchema = Schema(input),
        OutputSchema = Schema(output),
        Annotations = new() { Title = title, ReadOnlyHint = true, IdempotentHint = true, DestructiveHint = false, OpenWorldHint = false },
    };

    private static JsonElement Schema(string json)
    {
        using var document = JsonDocument.Parse(json);
        return document.RootElement.Clone();
    }
}
