using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Nodes;

namespace Mooring.Configuration;

/// <summary><c>auth.mode</c>: one word or a list of words, of which this version knows one.</summary>
internal sealed class AuthModeShape : Shape<string>
{
    private static readonly ListShape<string> Modes =
        new(new ChoiceShape<string>([new("none", "none")], "apiKey", "oauth", "jwt"), orOne: true);

    public override bool TryRead(ConfigNode node, string path, ConfigReading reading, [NotNullWhen(true)] out string? value)
    {
        value = null;
        if (!Modes.TryRead(node, path, reading, out var modes))
        {
            return false;
        }

        if (modes.Count != 1)
        {
            reading.Error(path, node.Line, modes.Count == 0 ? "is an empty list; write \"none\"." : "names \"none\" beside others.");
            return false;
        }

        value = modes[0];
        return true;
    }

    public override JsonNode? Write(string value) => value;

    public override JsonObject Schema() => Modes.Schema();
}
