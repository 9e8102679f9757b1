using System.Text.Json;
using ModelContextProtocol;
using ModelContextProtocol.Protocol;

namespace Mooring.Connectors.Docs;

/// <summary>The two prompts of the docs server, and their texts, which name the tools as they are.</summary>
internal static class DocsPrompts
{
    public const string AnswerFromDocs = "answer_from_docs";
    public const string WriteMdxSnippet = "write_mdx_snippet";

    public static readonly IReadOnlyList<string> Styles = ["concise", "tutorial", "reference"];

    public static readonly IReadOnlyList<Prompt> All =
    [
        new()
        {
            Name = AnswerFromDocs,
            Title = "Answer a question from the documentation",
            Description = "Finds the pages that answer a question, reads them, and answers from them alone, with links.",
            Arguments = [new() { Name = "question", Description = "What you want to know", Required = true }],
        },
        new()
        {
            Name = WriteMdxSnippet,
            Title = "Write a piece of documentation",
            Description = "Reads how the documentation speaks about a topic and drafts a new piece of MDX in the same words and style.",
            Arguments =
            [
                new() { Name = "topic", Description = "What the piece is about", Required = true },
                new() { Name = "style", Description = $"One of {string.Join(", ", Styles)}; {Styles[0]} when left out", Required = false },
            ],
        },
    ];

    /// <exception cref="McpProtocolException">There is no such prompt, or its arguments are not right.</exception>
    public static GetPromptResult Get(GetPromptRequestParams? request)
    {
        var arguments = new ToolArguments(request?.Arguments);
        var (description, text) = request?.Name switch
        {
            AnswerFromDocs => ("Answer from the documentation", Question(arguments.Text("question", required: true, longest: 10_000))),
            WriteMdxSnippet => ("Write MDX for the documentation", Snippet(arguments.Text("topic", required: true, longest: 10_000), Style(arguments))),
            var name => throw new McpProtocolException($"Unknown prompt '{name}'. The prompts are {AnswerFromDocs} and {WriteMdxSnippet}.", McpErrorCode.InvalidParams),
        };
        if (arguments.Problems.Count > 0)
        {
            throw new McpProtocolException($"The arguments of {request.Name} are not right: {string.Join("; ", arguments.Problems)}.", McpErrorCode.InvalidParams);
        }

        return new GetPromptResult
        {
            Description = description,
            Messages = [new PromptMessage { Role = Role.User, Content = new TextContentBlock { Text = text } }],
        };
    }

    private static string Style(ToolArguments arguments)
    {
        var style = arguments.Text("style") ?? Styles[0];
        if (!Styles.Contains(style, StringComparer.Ordinal))
        {
            arguments.Problems.Add($"style must be one of {string.Join(", ", Styles)}");
        }

        return style;
    }

    private static string Question(string? question) => $"""
        Answer this question from the documentation, and from nothing else:

        {question}

        1. Call {DocsTools.Search} with the few words that matter.
        2. Call {DocsTools.GetPage} with the routes of the two or three best hits and read them.
        3. If they do not answer the question, search once more with other words.
        4. Answer. After each statement name its source as a link: [title](link).
        If the documentation does not say it, tell me so instead of guessing.
        """;

    private static string Snippet(string? topic, string style) => $"""
        Write a piece of MDX for this documentation.

        Topic: {topic}
        Style: {style} ({StyleMeaning(style)})

        1. Call {DocsTools.Search} to find the pages nearest to the topic.
        2. Call {DocsTools.GetPage} for the best two or three and take over their terms, tone, components and front matter.
        3. If the topic is documented already, tell me where before you write.
        4. Draft the MDX with two to four headings and one example. Link to related pages by their routes.
        """;

    private static string StyleMeaning(string style) => style switch
    {
        "tutorial" => "step by step towards a result the reader can see",
        "reference" => "complete and exact, tables and lists before prose",
        _ => "short sections, only what the reader needs now",
    };
}
