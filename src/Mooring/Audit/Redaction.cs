using System.Buffers;
using System.Text.Json;

namespace Mooring.Audit;

/// <summary>Arguments as they may be written: values whose names speak of a secret are left out, at any depth. What is called otherwise stays, secret or not.</summary>
internal static class Redaction
{
    private static readonly string[] Words = ["password", "passwd", "passphrase", "secret", "token", "authorization", "apikey", "credential", "cookie", "privatekey", "bearer", "jwt"];

    public static byte[] Of(ReadOnlySpan<byte> json)
    {
        var buffer = new ArrayBufferWriter<byte>(json.Length);
        try
        {
            Write(json, buffer);
        }
        catch (InvalidOperationException)
        {
            // Half a character in a name: what cannot be read cannot be looked through.
            return [.. "\"unreadable\""u8];
        }

        return buffer.WrittenSpan.ToArray();
    }

    private static void Write(ReadOnlySpan<byte> json, ArrayBufferWriter<byte> buffer)
    {
        using var document = JsonDocument.Parse(json.ToArray(), new JsonDocumentOptions { MaxDepth = int.MaxValue });
        using var writer = new Utf8JsonWriter(buffer, new JsonWriterOptions { MaxDepth = int.MaxValue, SkipValidation = true });
        Write(writer, document.RootElement);
    }

    private static void Write(Utf8JsonWriter writer, JsonElement element)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.Object:
                writer.WriteStartObject();
                foreach (var property in element.EnumerateObject())
                {
                    writer.WritePropertyName(property.Name);
                    if (IsSecret(property.Name))
                    {
                        writer.WriteStringValue("***");
                    }
                    else
                    {
                        Write(writer, property.Value);
                    }
                }

                writer.WriteEndObject();
                break;
            case JsonValueKind.Array:
                writer.WriteStartArray();
                foreach (var item in element.EnumerateArray())
                {
                    Write(writer, item);
                }

                writer.WriteEndArray();
                break;
            default:
                element.WriteTo(writer);
                break;
        }
    }

    private static bool IsSecret(string name)
    {
        var plain = string.Concat(name.Where(char.IsAsciiLetterOrDigit)).ToLowerInvariant();
        return Words.Any(word => plain.Contains(word, StringComparison.Ordinal));
    }
}
