using System.Text;
using Mooring.Protocol;
using Mooring.Routing;

namespace Mooring.FrontDoor;

/// <summary>What a <c>subscriptions/listen</c> asks to hear of (2026-07-28, basic/patterns/subscriptions, "Notification Filter").</summary>
internal sealed record ListenFilter(IReadOnlySet<ListKind> Lists, IReadOnlyList<string> Resources, IReadOnlyList<string>? Tasks)
{
    /// <summary>Resources of one request: each is asked for at its server. Tasks: each is looked up.</summary>
    private const int MostResources = 256;

    private static readonly (ListKind Kind, string Name)[] Fields =
        [(ListKind.Tools, "toolsListChanged"), (ListKind.Prompts, "promptsListChanged"), (ListKind.Resources, "resourcesListChanged")];

    /// <summary>Reads a request's filter; null, with what is wrong, where it has none.</summary>
    public static ListenFilter? Read(Frame request, out string wrong)
    {
        wrong = "params.notifications has to be an object of toolsListChanged, promptsListChanged, resourcesListChanged (booleans), resourceSubscriptions and taskIds (strings).";
        var at = request.Envelope.Params.IsPresent ? JsonFields.Find(request.Span(request.Envelope.Params), "notifications"u8) : default;
        if (!at.IsPresent || request.Span(at.Offset(request.Envelope.Params.Start))[0] != '{')
        {
            return null;
        }

        var json = request.Span(at.Offset(request.Envelope.Params.Start));
        var lists = new HashSet<ListKind>();
        foreach (var (kind, name) in Fields)
        {
            var value = JsonFields.Find(json, Encoding.ASCII.GetBytes(name));
            if (value.IsPresent && json[value.Start] is not ((byte)'t' or (byte)'f'))
            {
                return null;
            }

            if (value.IsPresent && json[value.Start] == 't')
            {
                lists.Add(kind);
            }
        }

        if (!TryStrings(json, "resourceSubscriptions"u8, out var uris) || !TryStrings(json, "taskIds"u8, out var tasks))
        {
            return null;
        }

        if (uris?.Count > MostResources || tasks?.Count > MostResources)
        {
            wrong = $"resourceSubscriptions names {uris?.Count ?? 0} resources and taskIds {tasks?.Count ?? 0} tasks; at most {MostResources} of each in one request.";
            return null;
        }

        return new ListenFilter(lists, uris ?? [], tasks);
    }

    /// <summary>Whether a notification is one of those; a server may tell of a part of what was subscribed to.</summary>
    public bool Wants(Frame notification) => notification.Kind == FrameKind.Notification && notification.Method switch
    {
        McpMethod.ToolsListChanged or McpMethod.PromptsListChanged or McpMethod.ResourcesListChanged => Lists.Contains(ListKinds.Of(notification.Method)!.Value),
        McpMethod.ResourcesUpdated => WantsResource(notification.Text(notification.Envelope.Uri)),
        _ => false,
    };

    /// <summary>As it is acknowledged, JSON: what is not heard of is left out.</summary>
    public byte[] ToJson()
    {
        var parts = Fields.Where(f => Lists.Contains(f.Kind)).Select(f => $"\"{f.Name}\":true").ToList();
        if (Resources.Count > 0)
        {
            parts.Add($"\"resourceSubscriptions\":{Array(Resources)}");
        }

        if (Tasks?.Count > 0)
        {
            parts.Add($"\"taskIds\":{Array(Tasks)}");
        }

        return Encoding.UTF8.GetBytes('{' + string.Join(',', parts) + '}');
    }

    private static string Array(IReadOnlyList<string> strings) => $"[{string.Join(',', strings.Select(text => Encoding.UTF8.GetString(JsonText.Quote(text))))}]";

    /// <summary>Each once; null where there are none at all.</summary>
    private static bool TryStrings(ReadOnlySpan<byte> json, ReadOnlySpan<byte> key, out IReadOnlyList<string>? strings)
    {
        strings = null;
        var array = JsonFields.Find(json, key);
        if (!array.IsPresent)
        {
            return true;
        }

        var found = new List<string>();
        foreach (var element in JsonFields.Elements(json, key))
        {
            if (json[element.Start] != '"')
            {
                return false;
            }

            found.Add(JsonText.Read(json.Slice(element.Start, element.Length)));
        }

        strings = [.. found.Distinct(StringComparer.Ordinal)];
        return json[array.Start] == '[';
    }

    private bool WantsResource(string uri) => Resources.Any(wanted =>
        uri.StartsWith(wanted, StringComparison.Ordinal) && (uri.Length == wanted.Length || wanted.EndsWith('/') || uri[wanted.Length] is '/' or '?' or '#'));
}
