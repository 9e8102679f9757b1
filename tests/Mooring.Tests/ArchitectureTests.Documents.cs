using System.Reflection;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Mooring.Calls;
using Mooring.Configuration;
using Mooring.Connectors.Docs;
using Mooring.Streams;
using Xunit;

namespace Mooring.Tests;

/// <content>Documents that say what the code does not do any more are worse than none.</content>
public sealed partial class ArchitectureTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(10);

    /// <summary>Names in the documents that look like types and belong to others.</summary>
    private static readonly string[] NotOurs =
    [
        "Accept", "AddX", "BodyWriter", "DateTime", "EventSource", "Host", "HttpMessageInvoker", "LimitNOFILE", "Log", "LoggerMessage", "Mooring", "Origin", "Task",
        "TimeProvider", "TimeoutStopSec", "UnsafePreferInlineScheduling", "Utf8JsonReader",
    ];

    [Fact]
    public void Documents_RelativeLinks_LeadSomewhere()
    {
        var broken = new List<string>();
        foreach (var file in Documents())
        {
            foreach (Match link in Regex.Matches(Prose(File.ReadAllText(file)), @"\]\((?<to>[^)\s]+)\)", RegexOptions.ExplicitCapture, Limit))
            {
                var to = link.Groups["to"].Value;
                if (to.Contains("://", StringComparison.Ordinal) || to.StartsWith("mailto:", StringComparison.Ordinal))
                {
                    continue;
                }

                var parts = to.Split('#', 2);
                var target = parts[0].Length == 0 ? file : Path.GetFullPath(parts[0], Path.GetDirectoryName(file)!);
                if (!File.Exists(target) && !Directory.Exists(target))
                {
                    broken.Add($"{Path.GetRelativePath(Root, file)}: {to}");
                }
                else if (parts.Length == 2 && !Anchors(target).Contains(parts[1], StringComparer.Ordinal))
                {
                    broken.Add($"{Path.GetRelativePath(Root, file)}: {to} (no such heading)");
                }
            }
        }

        Assert.True(broken.Count == 0, string.Join("\n", broken));
    }

    [Fact]
    public void Documents_ForClients_NameEveryReasonThatACallCanFailFor()
    {
        var page = File.ReadAllText(Path.Combine(Root, "docs", "clients.md"));
        var table = page[page.IndexOf("## Errors a call can end with", StringComparison.Ordinal)..];
        var told = Regex.Matches(table, @"^\| `(?<reason>\w+)` \|", RegexOptions.Multiline | RegexOptions.ExplicitCapture, Limit).Select(row => row.Groups["reason"].Value);

        // The last is for an answer that nobody can read, of a server without sessions.
        Assert.Equal(Enum.GetValues<CallFailure>().Select(failure => failure.ToTag()).Append("wrong_answer").Order(StringComparer.Ordinal), told.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Documents_TypesMembersAndFilesTheyName_Exist()
    {
        var types = new[] { Library, Connectors, Program, typeof(ArchitectureTests).Assembly }.SelectMany(a => a.GetTypes()).ToLookup(t => t.Name.Split('`')[0], StringComparer.Ordinal);
        var files = Files("", "*").Select(f => "/" + Path.GetRelativePath(Root, f).Replace('\\', '/')).ToList();
        var others = Files("tests", "*.cs").Concat(Files("samples", "*.cs")).ToList();
        var wrong = new List<string>();
        foreach (var document in Documents())
        {
            foreach (Match span in Regex.Matches(Prose(File.ReadAllText(document)), "`(?<code>[^`\n]+)`", RegexOptions.ExplicitCapture, Limit))
            {
                var code = span.Groups["code"].Value.Replace("()", "", StringComparison.Ordinal);
                if (Regex.IsMatch(code, @"^[\w./-]+\.(cs|csproj|props|txt|sh)$", RegexOptions.ExplicitCapture, Limit) && code is not ("X.cs" or "X.Log.cs"))
                {
                    if (!files.Exists(f => f.EndsWith("/" + code, StringComparison.Ordinal)))
                    {
                        wrong.Add($"{Path.GetRelativePath(Root, document)}: there is no file {code}");
                    }
                }
                else if (Regex.IsMatch(code, @"^I?[A-Z][a-z0-9]+[A-Za-z0-9]*(\.[A-Z]\w+)?$", RegexOptions.ExplicitCapture, Limit) && !Names(code, types, others))
                {
                    wrong.Add($"{Path.GetRelativePath(Root, document)}: there is no {code}");
                }
            }
        }

        Assert.True(wrong.Count == 0, string.Join("\n", wrong));
    }

    /// <summary>The docs connector serves them, and leaves out what it cannot read.</summary>
    [Fact]
    public void Documents_OfTheDocsFolder_CanBeReadAndHaveATitle()
    {
        Assert.All(Directory.EnumerateFiles(Path.Combine(Root, "docs"), "*.md", SearchOption.AllDirectories), file =>
        {
            var (values, body) = FrontMatter.Split(File.ReadAllText(file));
            Assert.True(FrontMatter.TextOf(values, "title") is not null || body.StartsWith("# ", StringComparison.Ordinal), file);
        });
    }

    [Fact]
    public void Decisions_AllAreNumberedListedAndOfTheSameForm()
    {
        var pages = Directory.EnumerateFiles(Path.Combine(Root, "docs", "decisions"), "*.md").Order(StringComparer.Ordinal).ToList();
        var list = Read("docs/architecture.md");

        Assert.All(pages, page =>
        {
            var text = File.ReadAllText(page);
            var headings = text.Split('\n').Where(l => l.StartsWith("## ", StringComparison.Ordinal));
            Assert.True(headings.SequenceEqual(["## Context", "## Goals / Non-Goals", "## Decision", "## Cost"]), $"{Path.GetFileName(page)} has other headings than the template.");
        });
        Assert.All(pages.Where(p => Path.GetFileName(p) != "template.md"), page => Assert.Contains($"decisions/{Path.GetFileName(page)}", list, StringComparison.Ordinal));
        var numbers = pages.Select(p => Path.GetFileName(p)[..4]).Where(n => n != "temp");
        Assert.All(numbers.Select((n, i) => (n, i)), pair => Assert.Equal((pair.i + 1).ToString("0000"), pair.n));
    }

    [Fact]
    public void Architecture_Metrics_AreThoseOfTheCode()
    {
        var code = Files("src", "*Metrics.cs").SelectMany(f => Regex.Matches(
                File.ReadAllText(f), """
                "(?<name>mooring\.[a-z_.]+)",\s*(\w+,\s*)?"(?<unit>[^"]+)"
                """, RegexOptions.ExplicitCapture, Limit))
            .Select(m => $"{m.Groups["name"].Value} {m.Groups["unit"].Value}").Order(StringComparer.Ordinal).ToList();
        var table = Between(Read("docs/architecture.md"), "metrics").Split('\n').Where(l => l.StartsWith("| `", StringComparison.Ordinal))
            .Select(l => l.Split('|')).Select(c => $"{c[1].Trim().Trim('`')} {c[2].Trim()}").Order(StringComparer.Ordinal);

        Assert.NotEmpty(code);
        Assert.Equal(code, table);
    }

    [Fact]
    public void Architecture_StreamEndReasons_AreThoseOfTheCode()
    {
        var text = Read("docs/architecture.md");
        var section = text[text.IndexOf("## Why a stream ended", StringComparison.Ordinal)..text.IndexOf("## Metrics", StringComparison.Ordinal)];
        var told = section.Split('\n').Where(l => l.StartsWith("| `", StringComparison.Ordinal)).Select(l => l.Split('`')[1]).Order(StringComparer.Ordinal);

        Assert.Equal(Enum.GetValues<StreamReason>().Select(r => r.ToTag()).Order(StringComparer.Ordinal), told);
    }

    [Fact]
    public void Configuration_TablesOfSettings_AreInStepWithTheTableInTheCode()
    {
        var path = Path.Combine(Root, "docs", "configuration.md");
        var schema = (JsonObject)JsonNode.Parse(ConfigSchema.Write())!;
        var server = schema["properties"]!["mcpServers"]!["additionalProperties"]!.AsObject();
        var before = File.ReadAllText(path);
        var tool = server["properties"]!["tools"]!["additionalProperties"]!.AsObject();
        var after = Replace(Replace(Replace(before, "settings", Table(schema)), "server settings", Table(server)), "tool settings", Table(tool));
        if (Environment.GetEnvironmentVariable("WRITE_SCHEMA") == "1")
        {
            File.WriteAllText(path, after);
            before = after;
        }

        Assert.True(before == after, "docs/configuration.md is out of step; run this test with WRITE_SCHEMA=1 and commit it.");
        Assert.Contains("| `keepAlive.interval` | `15s` |", after, StringComparison.Ordinal);
        Assert.Contains("| `concurrency` | `64` |", after, StringComparison.Ordinal);
        Assert.Contains("| `replay` | none |", after, StringComparison.Ordinal);
    }

    private static bool Names(string code, ILookup<string, Type> types, List<string> others)
    {
        var parts = code.Split('.');
        if (NotOurs.Contains(parts[0]))
        {
            return true;
        }

        // End-to-end tests and samples are other programs; their source tells.
        var sources = others.Where(f => Path.GetFileName(f).Split('.')[0] == parts[0]).ToList();
        if (parts.Length == 1)
        {
            return types.Contains(code) || sources.Count > 0 || Directory.Exists(Path.Combine(Root, "src", "Mooring", code))
                || types.Any(g => g.Any(t => t.GetMember(code, Any).Length > 0));
        }

        return types[parts[0]].Any(t => t.GetMember(parts[1], Any).Length > 0 || t.GetNestedType(parts[1], Any) is not null)
            || sources.Exists(f => File.ReadAllText(f).Contains($" {parts[1]}(", StringComparison.Ordinal))
            || Directory.Exists(Path.Combine(Root, "src", code)) || Directory.Exists(Path.Combine(Root, "tests", code));
    }

    private const BindingFlags Any = BindingFlags.Instance | BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic;

    private static string Table(JsonObject schema)
    {
        var table = new StringBuilder("\n| setting | default | what |\n|---|---|---|\n");
        Add(schema, "");
        return table.Append('\n').ToString();

        void Add(JsonObject of, string path)
        {
            foreach (var (name, node) in of["properties"]!.AsObject())
            {
                var property = node!.AsObject();
                var what = (string?)property["description"] ?? "";
                if (property.ContainsKey("properties"))
                {
                    Add(property, $"{path}{name}.");
                }
                else if (!what.StartsWith("No effect here", StringComparison.Ordinal))
                {
                    what = what.Replace("A change needs a restart.", "*Restart.*", StringComparison.Ordinal).Replace("|", "\\|", StringComparison.Ordinal);
                    table.Append("| `").Append(path).Append(name).Append("` | ").Append(Default(property["default"])).Append(" | ").Append(what).Append(" |\n");
                }
            }
        }
    }

    private static string Default(JsonNode? value) => value switch
    {
        null => "none",
        JsonArray { Count: > 3 } list => $"`{(string)list[0]!}` and {list.Count - 1} more",
        JsonArray list => list.Count == 0 ? "empty" : string.Join(", ", list.Select(item => $"`{(string)item!}`")),
        JsonObject => "empty",
        _ => $"`{value.ToJsonString().Trim('"')}`",
    };

    private static string Between(string text, string name)
    {
        var (from, to) = Markers(text, name);
        return text[from..to];
    }

    private static string Replace(string text, string name, string with)
    {
        var (from, to) = Markers(text, name);
        return text[..from] + with + text[to..];
    }

    private static (int From, int To) Markers(string text, string name)
    {
        var open = $"<!-- {name} -->\n";
        var from = text.IndexOf(open, StringComparison.Ordinal);
        var to = text.IndexOf($"<!-- end of {name} -->", StringComparison.Ordinal);
        Assert.True(from >= 0 && to > from, $"The markers of \"{name}\" are missing.");
        return (from + open.Length, to);
    }

    private static List<string> Anchors(string file) =>
        [.. Prose(File.ReadAllText(file)).Split('\n').Where(l => l.StartsWith('#')).Select(l => string.Concat(
            l.TrimStart('#').Trim().ToLowerInvariant().Where(c => char.IsLetterOrDigit(c) || c is ' ' or '-' or '_')).Replace(' ', '-'))];

    /// <summary>A document without its blocks of code.</summary>
    private static string Prose(string text) => Regex.Replace(text, "^```.*?^```", "", RegexOptions.Multiline | RegexOptions.Singleline, Limit);

    private static IEnumerable<string> Documents() => Files("", "*.md");
}
