using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Nodes;

namespace Mooring.Configuration;

/// <summary><c>auth.mode</c>: one word or a list of words, of which <c>none</c> stands alone.</summary>
internal sealed class AuthModeShape : Shape<IReadOnlyList<AuthMode>>
{
    private static readonly ListShape<AuthMode> Modes = new(
        new ChoiceShape<AuthMode>([new("none", AuthMode.None), new("apiKey", AuthMode.ApiKey), new("jwt", AuthMode.Jwt), new("oauth", AuthMode.OAuth)]), orOne: true);

    public override bool TryRead(ConfigNode node, string path, ConfigReading reading, [NotNullWhen(true)] out IReadOnlyList<AuthMode>? value)
    {
        var failed = reading.ErrorCount;
        if (!Modes.TryRead(node, path, reading, out value) || reading.ErrorCount > failed)
        {
            // Half a list is another answer to the question who may come in.
            value = null;
            return false;
        }

        if (value.Count == 0 || (value.Count > 1 && value.Contains(AuthMode.None)))
        {
            reading.Error(path, node.Line, value.Count == 0 ? "is an empty list; write \"none\"." : "names \"none\" beside others.");
            value = null;
            return false;
        }

        value = [.. value.Distinct()];
        return true;
    }

    public override JsonNode? Write(IReadOnlyList<AuthMode> value) => Modes.Write(value) is JsonArray { Count: 1 } only ? only[0]!.DeepClone() : Modes.Write(value);

    public override JsonObject Schema() => Modes.Schema();

    public override bool Same(IReadOnlyList<AuthMode>? one, IReadOnlyList<AuthMode>? other) => Modes.Same(one, other);

    public override bool TryDescend(string segment, ConfigNode? node, out string key, [NotNullWhen(true)] out Shape? shape) =>
        Modes.TryDescend(segment, node, out key, out shape);

    public override ConfigNode? FromText(string text, string origin, string path, ConfigReading reading) => Modes.FromText(text, origin, path, reading);
}
