using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Amazon.DynamoDBv2.Model;

namespace Mooring.Stores.DynamoDb;

/// <summary>Values as the service has them. What is null or empty bytes has no attribute.</summary>
internal static class DynamoValues
{
    public static AttributeValue Text(string value) => new() { S = value };

    public static AttributeValue Number(long value) => new() { N = value.ToString(CultureInfo.InvariantCulture) };

    public static AttributeValue Time(DateTimeOffset value) => Number(value.UtcTicks);

    public static AttributeValue Flag(bool value) => new() { BOOL = value };

    public static AttributeValue Map(Dictionary<string, AttributeValue> value) => new() { M = value, IsMSet = true };

    public static AttributeValue? TextOrNull(string? value) => value is null ? null : Text(value);

    public static AttributeValue? TimeOrNull(DateTimeOffset? value) => value is { } known ? Time(known) : null;

    public static AttributeValue? Bytes(ReadOnlyMemory<byte> value) => value.IsEmpty ? null : new AttributeValue { B = new MemoryStream(value.ToArray()) };

    public static AttributeValue? Texts(IReadOnlyList<string> values) => values.Count == 0 ? null : new AttributeValue { L = [.. values.Select(Text)] };

    /// <summary>What the service itself may delete from then on, some day; null where that is never.</summary>
    public static AttributeValue? Ttl(DateTimeOffset value) => value.Year > 9000 ? null : Number(value.ToUnixTimeSeconds() + 1);

    public static string Text(this Dictionary<string, AttributeValue> item, string name) => item.TryGetValue(name, out var value) ? value.S ?? "" : "";

    public static string? TextOrNull(this Dictionary<string, AttributeValue> item, string name) => item.TryGetValue(name, out var value) ? value.S : null;

    public static long Number(this Dictionary<string, AttributeValue> item, string name) => item.TryGetValue(name, out var value) ? Number(value) : 0;

    public static long Number(AttributeValue value) => long.Parse(value.N, CultureInfo.InvariantCulture);

    public static bool Flag(this Dictionary<string, AttributeValue> item, string name) => item.TryGetValue(name, out var value) && value.BOOL == true;

    public static DateTimeOffset Time(this Dictionary<string, AttributeValue> item, string name) => new(item.Number(name), TimeSpan.Zero);

    public static DateTimeOffset? TimeOrNull(this Dictionary<string, AttributeValue> item, string name) => item.ContainsKey(name) ? item.Time(name) : null;

    public static ReadOnlyMemory<byte> Bytes(this Dictionary<string, AttributeValue> item, string name) =>
        item.TryGetValue(name, out var value) && value.B is { } bytes ? bytes.ToArray() : default(ReadOnlyMemory<byte>);

    public static IReadOnlyList<string> Texts(this Dictionary<string, AttributeValue> item, string name) =>
        item.TryGetValue(name, out var value) && value.L is { } list ? [.. list.Select(text => text.S ?? "")] : [];

    public static Dictionary<string, AttributeValue> Map(this Dictionary<string, AttributeValue> item, string name) =>
        item.TryGetValue(name, out var value) && value.M is { } map ? map : [];

    /// <summary>Sets what has a value.</summary>
    public static Dictionary<string, AttributeValue> With(this Dictionary<string, AttributeValue> item, string name, AttributeValue? value)
    {
        if (value is not null)
        {
            item[name] = value;
        }

        return item;
    }

    /// <summary>One short word for several that may be long or hold anything: a key has at most 1,024 bytes.</summary>
    public static string Hash(params ReadOnlySpan<string> parts)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Span<byte> length = stackalloc byte[4];
        foreach (var part in parts)
        {
            var bytes = Encoding.UTF8.GetBytes(part);
            System.Buffers.Binary.BinaryPrimitives.WriteInt32LittleEndian(length, bytes.Length);
            hash.AppendData(length);
            hash.AppendData(bytes);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset().AsSpan(0, 20));
    }

    /// <summary>What tells one write from every other.</summary>
    public static string NewToken() => Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(10));
}
