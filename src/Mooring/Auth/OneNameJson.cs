using System.Text.Json;
using System.Text.Json.Nodes;

namespace Mooring.Auth;

/// <summary>JSON of strangers. A name that stands twice in an object is refused: readers do not agree on which of the two counts.</summary>
internal static class OneNameJson
{
    private static readonly JsonDocumentOptions Options = new() { AllowDuplicateProperties = false };

    /// <exception cref="JsonException">It is not JSON, or has a name twice.</exception>
    public static JsonNode? Parse(ReadOnlySpan<byte> utf8) => JsonNode.Parse(utf8, nodeOptions: null, Options);
}
