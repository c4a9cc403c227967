using System.Text;
using CsCheck;
using Reeve.Server.Inference;
using Reeve.Server.Inference.Providers;

namespace Reeve.Server.Tests.Inference;

public sealed class SseReaderTests
{
    [Theory]
    [InlineData("data: a\n\ndata:b\n\n", "a|b")]
    [InlineData("data: a\r\ndata:  b\r\n\r\ndata: c\r\n\r\n", "a\n b|c")]
    [InlineData("data: a\rdata: b\r\rdata: c\r\r", "a\nb|c")]
    [InlineData("\uFEFFdata: a\n\n\uFEFFdata: b\n\n", "a")]
    [InlineData(": ping\n\nevent: x\nid: 1\nretry: 5\n\ndata: a\nevent: y\n\n", "a")]
    [InlineData("data\n\ndata:\n\ndata: \ndata\n\n", "||\n")]
    [InlineData("database: no\ndata : no\nDATA: no\n\ndata: a\n\n", "a")]
    [InlineData("data: a\n\ndata: cut off\n", "a")]
    [InlineData("", "")]
    public async Task Move_Stream_GivesTheDataOfItsEvents(string stream, string expected)
    {
        var bytes = Encoding.UTF8.GetBytes(stream);
        Assert.Equal(expected, string.Join('|', await ReadAsync(bytes, [int.MaxValue])));
        for (var at = 1; at < bytes.Length; at++)
        {
            Assert.Equal(expected, string.Join('|', await ReadAsync(bytes, [at, int.MaxValue])));
        }
    }

    [Fact]
    public async Task Move_AnyDataInAnyPieces_IsGivenAsItWas() =>
        await Gen.Select(
            Gen.String[Gen.Char["ab: é東"], 0, 40].Array[1, 3].Array[1, 6], Gen.Int[1, 9].Array[1, 5], Gen.Int[0, 2])
            .SampleAsync(async (events, pieces, kind) =>
            {
                var end = kind switch { 0 => "\n", 1 => "\r\n", _ => "\r" };
                var text = string.Concat(
                    events.Select(lines => string.Concat(lines.Select(line => $"data: {line}{end}")) + end));

                Assert.Equal(
                    events.Select(lines => string.Join('\n', lines)),
                    await ReadAsync(Encoding.UTF8.GetBytes(text), pieces));
            });

    [Theory]
    [InlineData("data: 0123456789012345\n\n")]
    [InlineData("data: 0123\ndata: 0123\ndata: 0123\ndata: 0123\n\n")]
    [InlineData(": 01234567890123456789")]
    public async Task Move_EventOverItsLimit_IsMalformed(string stream)
    {
        var error = await Assert.ThrowsAsync<ProviderException>(
            () => ReadAsync(Encoding.UTF8.GetBytes(stream), [1], eventBytesMax: 16));
        Assert.Equal(ProviderFault.Malformed, error.Fault);
    }

    private static async Task<List<string>> ReadAsync(byte[] bytes, int[] pieces, int eventBytesMax = 1024)
    {
        await using var stream = new PiecesStream(bytes, pieces);
        using var reader = new SseReader(buffer => stream.ReadAsync(buffer), eventBytesMax);
        var events = new List<string>();
        while (await reader.MoveAsync())
        {
            events.Add(Encoding.UTF8.GetString(reader.Data));
        }

        return events;
    }
}
