using Mooring.Protocol;

namespace Mooring.Routing;

/// <summary>The four lists a server shows.</summary>
internal enum ListKind
{
    Tools,
    Prompts,
    Resources,
    Templates,
}

/// <summary>How each list is called on the wire and in the store.</summary>
internal static class ListKinds
{
    public const int Count = 4;

    public static readonly IReadOnlyList<ListKind> All = [ListKind.Tools, ListKind.Prompts, ListKind.Resources, ListKind.Templates];

    /// <summary>The kind with this <see cref="Key"/>.</summary>
    public static ListKind? Parse(string key)
    {
        foreach (var kind in All)
        {
            if (kind.Key() == key)
            {
                return kind;
            }
        }

        return null;
    }

    public static ListKind? Of(McpMethod method) => method switch
    {
        McpMethod.ToolsList or McpMethod.ToolsListChanged => ListKind.Tools,
        McpMethod.PromptsList or McpMethod.PromptsListChanged => ListKind.Prompts,
        McpMethod.ResourcesList or McpMethod.ResourcesListChanged => ListKind.Resources,
        McpMethod.ResourcesTemplatesList => ListKind.Templates,
        _ => null,
    };

    public static string Method(this ListKind kind) => kind switch
    {
        ListKind.Tools => "tools/list",
        ListKind.Prompts => "prompts/list",
        ListKind.Resources => "resources/list",
        _ => "resources/templates/list",
    };

    /// <summary>The notification that this list changed; templates have none of their own.</summary>
    public static string Changed(this ListKind kind) => kind switch
    {
        ListKind.Tools => "notifications/tools/list_changed",
        ListKind.Prompts => "notifications/prompts/list_changed",
        _ => "notifications/resources/list_changed",
    };

    public static string Key(this ListKind kind) => kind switch
    {
        ListKind.Tools => "tools",
        ListKind.Prompts => "prompts",
        ListKind.Resources => "resources",
        _ => "resourceTemplates",
    };

    /// <summary>The capability a server declares that has this list.</summary>
    public static string Capability(this ListKind kind) => kind is ListKind.Templates ? "resources" : kind.Key();

    /// <summary>The property that names an item.</summary>
    public static string NameKey(this ListKind kind) => kind switch
    {
        ListKind.Resources => "uri",
        ListKind.Templates => "uriTemplate",
        _ => "name",
    };

    public static byte[] KeyBytes(this ListKind kind) => System.Text.Encoding.ASCII.GetBytes(kind.Key());

    public static byte[] NameKeyBytes(this ListKind kind) => System.Text.Encoding.ASCII.GetBytes(kind.NameKey());
}
