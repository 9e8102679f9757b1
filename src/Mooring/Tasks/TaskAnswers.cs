using System.Text.Json;
using Mooring.Protocol;

namespace Mooring.Tasks;

/// <summary><c>inputResponses</c>: what a client answers to what its server asked (2026-07-28, basic/patterns/mrtr, and <c>tasks/update</c> of the extension).</summary>
internal static class TaskAnswers
{
    /// <summary>The answers by their keys; null where it is no object of objects.</summary>
    public static List<(string Key, byte[] Answer)>? Read(ReadOnlySpan<byte> json)
    {
        var reader = new Utf8JsonReader(json, JsonFields.AnyDepth);
        if (json.IsEmpty || !reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            return null;
        }

        var answers = new List<(string, byte[])>();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var key = JsonText.Value(ref reader);
            reader.Read();
            if (reader.TokenType != JsonTokenType.StartObject)
            {
                return null;
            }

            var start = (int)reader.TokenStartIndex;
            reader.Skip();
            answers.Add((key, json[start..(int)reader.BytesConsumed].ToArray()));
        }

        return answers;
    }
}
