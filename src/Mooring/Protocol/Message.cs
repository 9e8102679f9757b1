using System.Buffers;
using System.Buffers.Text;
using System.Globalization;

namespace Mooring.Protocol;

/// <summary>A frame on its way out, with the few values that differ on the other leg. Writing it copies the frame once, around the edits.</summary>
internal struct Message(Frame frame)
{
    // Two lie here: nearly all have no more, and each costs whoever holds the message its size. Those beyond are never changed once they are made,
    // as copies of the message share them.
    private Edit _first;
    private Edit _second;
    private Edit[]? _more;
    private int _count;

    public Frame Frame { get; } = frame;

    /// <summary>Length in bytes once written.</summary>
    public readonly int Length
    {
        get
        {
            var length = Frame.Bytes.Length;
            for (var i = 0; i < _count; i++)
            {
                var edit = At(i);
                length += edit.Length - edit.Where.Length;
            }

            return length;
        }
    }

    /// <summary>Whether values are exchanged and nothing else: what stands where in the frame, and what is there at all, is true of the message too.</summary>
    public readonly bool HasShapeOfFrame
    {
        get
        {
            for (var i = 0; i < _count; i++)
            {
                if (At(i).Where.Length == 0)
                {
                    return false;
                }
            }

            return true;
        }
    }

    /// <summary>
    /// Puts <paramref name="with"/> where <paramref name="where"/> stands; a place without length is a point between two bytes. What was to be put in the same
    /// place before is not; apart from that, edits must not overlap.
    /// </summary>
    public Message Replace(Slice where, ReadOnlyMemory<byte> with) => Add(new Edit(where, with, 0));

    public Message Replace(Slice where, long number) => Add(new Edit(where, default, number));

    /// <summary>The text of a string of the frame as it will be written; as <see cref="Frame.Text"/>.</summary>
    public readonly string Text(Slice where)
    {
        for (var i = 0; i < _count; i++)
        {
            if (At(i) is var edit && edit.Where == where)
            {
                return edit.Text;
            }
        }

        return Frame.Text(where);
    }

    /// <summary>Writes the message to <paramref name="target"/>, which has at least <see cref="Length"/> bytes.</summary>
    public readonly void CopyTo(Span<byte> target)
    {
        var source = Frame.Bytes;
        var from = 0;
        for (var i = 0; i < _count; i++)
        {
            var edit = At(i);
            source[from..edit.Where.Start].CopyTo(target);
            target = target[(edit.Where.Start - from)..];
            target = target[edit.Write(target)..];
            from = edit.Where.End;
        }

        source[from..].CopyTo(target);
    }

    public readonly byte[] ToArray()
    {
        var bytes = GC.AllocateUninitializedArray<byte>(Length);
        CopyTo(bytes);
        return bytes;
    }

    /// <summary>As <see cref="ToArray"/>, on one line: JSON has line ends only between tokens, where a space means the same.</summary>
    public readonly byte[] ToLine()
    {
        var bytes = ToArray();
        Flatten(bytes);
        return bytes;
    }

    public readonly void WriteTo(IBufferWriter<byte> writer)
    {
        var length = Length;
        CopyTo(writer.GetSpan(length)[..length]);
        writer.Advance(length);
    }

    /// <summary>Replaces line ends between tokens by spaces, in place.</summary>
    public static void Flatten(Span<byte> json)
    {
        while (json.IndexOfAny((byte)'\n', (byte)'\r') is >= 0 and var at)
        {
            json[at] = (byte)' ';
            json = json[(at + 1)..];
        }
    }

    private Message Add(Edit edit)
    {
        // Kept in the order of their places, so that writing is one walk.
        var at = _count;
        while (at > 0 && edit.Where.Start < At(at - 1).Where.Start)
        {
            at--;
        }

        if (at > 0 && edit.Where.Length > 0 && At(at - 1).Where == edit.Where)
        {
            Put(at - 1, edit);
            return this;
        }

        if (_count >= 2)
        {
            // Of its own, since copies have the other one.
            _more = _more is null ? new Edit[1] : [.. _more, default];
        }

        for (var i = _count++; i > at; i--)
        {
            Put(i, At(i - 1), isOwn: true);
        }

        Put(at, edit, isOwn: true);
        return this;
    }

    private void Put(int index, Edit edit, bool isOwn = false)
    {
        switch (index)
        {
            case 0:
                _first = edit;
                break;
            case 1:
                _second = edit;
                break;
            default:
                _more = isOwn ? _more! : [.. _more!];
                _more[index - 2] = edit;
                break;
        }
    }

    private readonly Edit At(int index) => index switch { 0 => _first, 1 => _second, _ => _more![index - 2] };

    private readonly struct Edit(Slice where, ReadOnlyMemory<byte> bytes, long number)
    {
        public Slice Where { get; } = where;

        public int Length => bytes.IsEmpty ? Digits(number) : bytes.Length;

        public string Text => bytes.IsEmpty ? number.ToString(CultureInfo.InvariantCulture) : JsonText.Read(bytes.Span);

        public int Write(Span<byte> target)
        {
            if (!bytes.IsEmpty)
            {
                bytes.Span.CopyTo(target);
                return bytes.Length;
            }

            Utf8Formatter.TryFormat(number, target, out var written);
            return written;
        }

        private static int Digits(long number)
        {
            // Not kept: each message would have to carry it.
            var digits = number < 0 ? 2 : 1;
            while ((number /= 10) != 0)
            {
                digits++;
            }

            return digits;
        }
    }
}
