using System.Buffers;
using System.Globalization;
using System.Text;

namespace Reeve.Server.Receipts;

/// <summary>
/// Writes canonical JSON (RFC 8785) token by token. The caller gives the members of an object in the order of their
/// UTF-16 code units; a wrong order is refused, since the bytes are signed.
/// </summary>
internal sealed class CanonicalWriter
{
    private static readonly SearchValues<char> Escaped = SearchValues.Create(
        [.. Enumerable.Range(0, ' ').Select(code => (char)code), '"', '\\']);

    private byte[] _bytes = new byte[1_024];
    private int _length;
    private readonly Stack<string?> _lastNames = new();
    private string? _lastName;
    private bool _needsComma;

    internal ReadOnlySpan<byte> Written => _bytes.AsSpan(0, _length);

    internal void StartObject()
    {
        Separate();
        Raw("{"u8);
        _lastNames.Push(_lastName);
        _lastName = null;
        _needsComma = false;
    }

    internal void EndObject()
    {
        Raw("}"u8);
        _lastName = _lastNames.Pop();
        _needsComma = true;
    }

    internal void StartArray()
    {
        Separate();
        Raw("["u8);
        _needsComma = false;
    }

    internal void EndArray()
    {
        Raw("]"u8);
        _needsComma = true;
    }

    internal void Name(string name)
    {
        if (_lastName is not null && string.CompareOrdinal(_lastName, name) >= 0)
        {
            throw new FormatException(_lastName == name
                ? "A member stands twice in an object."
                : "The members of an object are not in canonical order.");
        }

        _lastName = name;
        String(name);
        Raw(":"u8);
        _needsComma = false;
    }

    internal void String(string? value)
    {
        if (value is null)
        {
            Literal("null"u8);
            return;
        }

        Separate();
        Raw("\""u8);
        Text(value);
        Raw("\""u8);
        _needsComma = true;
    }

    internal void Literal(ReadOnlySpan<byte> literal)
    {
        Separate();
        Raw(literal);
        _needsComma = true;
    }

    /// <summary>A number as ECMAScript prints the double nearest to it.</summary>
    internal void Number(double value)
    {
        Span<byte> text = stackalloc byte[EcmaScriptNumber.LengthMax];
        Literal(text[..EcmaScriptNumber.Format(value, text)]);
    }

    internal void Integer(long value)
    {
        Span<byte> text = stackalloc byte[20];
        if (value is > -(1L << 53) and < 1L << 53)
        {
            _ = value.TryFormat(text, out var length, default, CultureInfo.InvariantCulture);
            Literal(text[..length]);
        }
        else
        {
            Number(value);
        }
    }

    private void Separate()
    {
        if (_needsComma)
        {
            Raw(","u8);
        }
    }

    private void Text(ReadOnlySpan<char> value)
    {
        int next;
        while ((next = value.IndexOfAny(Escaped)) >= 0)
        {
            Utf8(value[..next]);
            Escape(value[next]);
            value = value[(next + 1)..];
        }

        Utf8(value);
    }

    private void Escape(char character)
    {
        switch (character)
        {
            case '"': Raw("\\\""u8); break;
            case '\\': Raw("\\\\"u8); break;
            case '\b': Raw("\\b"u8); break;
            case '\t': Raw("\\t"u8); break;
            case '\n': Raw("\\n"u8); break;
            case '\f': Raw("\\f"u8); break;
            case '\r': Raw("\\r"u8); break;
            default:
                var hex = "0123456789abcdef"u8;
                Raw([(byte)'\\', (byte)'u', (byte)'0', (byte)'0', hex[character >> 4], hex[character & 15]]);
                break;
        }
    }

    private void Utf8(ReadOnlySpan<char> text)
    {
        Ensure(Encoding.UTF8.GetMaxByteCount(text.Length));
        var status = System.Text.Unicode.Utf8.FromUtf16(
            text, _bytes.AsSpan(_length), out _, out var written, replaceInvalidSequences: false);
        if (status != OperationStatus.Done)
        {
            throw new FormatException("A string has half of a surrogate pair.");
        }

        _length += written;
    }

    private void Raw(ReadOnlySpan<byte> bytes)
    {
        Ensure(bytes.Length);
        bytes.CopyTo(_bytes.AsSpan(_length));
        _length += bytes.Length;
    }

    private void Ensure(int more)
    {
        if (_bytes.Length - _length < more)
        {
            Array.Resize(ref _bytes, Math.Max(_bytes.Length * 2, _length + more));
        }
    }
}
