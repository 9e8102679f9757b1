using System.Text.Json;
using System.Text.Json.Nodes;

namespace Mooring.Auth;

/// <summary>
/// JSON of strangers. A name that stands twice in an object is refused: readers do not agree on which of the two counts. So is what is no text, such as half a pair of surrogates: it could
/// not be read later.
/// </summary>
internal static class OneNameJson
{
    private static readonly JsonDocumentOptions Options = new() { AllowDuplicateProperties = false };

    /// <exception cref="JsonException">It is not JSON, has a name twice, or holds what is no text.</exception>
    public static JsonNode? Parse(ReadOnlySpan<byte> utf8)
    {
        var reader = new Utf8JsonReader(utf8);
        try
        {
            while (reader.Read())
            {
                if (reader.TokenType is JsonTokenType.String or JsonTokenType.PropertyName)
                {
                    reader.GetString();
                }
            }
        }
        catch (InvalidOperationException e)
        {
            throw new JsonException("It holds what is no text.", e);
        }

        return JsonNode.Parse(utf8, nodeOptions: null, Options);
    }
}
