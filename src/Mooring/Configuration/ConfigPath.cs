namespace Mooring.Configuration;

/// <summary>Writes the path of a setting as people write it: <c>mcpServers.issues.args[1]</c>, <c>mcpServers["a.b"].url</c>.</summary>
internal static class ConfigPath
{
    public static string Member(string parent, string key)
    {
        var plain = key.Length > 0 && key.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' or '$');
        if (!plain)
        {
            return $"{parent}[\"{key}\"]";
        }

        return parent.Length == 0 ? key : $"{parent}.{key}";
    }

    public static string Item(string parent, int index) => $"{parent}[{index}]";
}
