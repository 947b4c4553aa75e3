import { expect, test } from 'vitest';

import { beside } from '../src/parts/Readme';
import { parseMarkdown } from '../src/text/markdown';

const text = (text: string) => ({ kind: 'text', text });

test('headings, paragraphs and lists become blocks', () => {
  expect(parseMarkdown('# One\n\nTwo\nthree.\n\n- a\n- [x] b\n')).toEqual([
    { kind: 'heading', level: 1, children: [text('One')] },
    { kind: 'paragraph', children: [text('Two three.')] },
    {
      kind: 'list',
      ordered: false,
      items: [
        { done: undefined, blocks: [{ kind: 'paragraph', children: [text('a')] }] },
        { done: true, blocks: [{ kind: 'paragraph', children: [text('b')] }] },
      ],
    },
  ]);
});

test('marks inside a line nest', () => {
  expect(parseMarkdown('a **b *c* `d`** ~~e~~')).toEqual([
    {
      kind: 'paragraph',
      children: [
        text('a '),
        { kind: 'strong', children: [text('b '), { kind: 'emphasis', children: [text('c')] }, text(' '), { kind: 'code', text: 'd' }] },
        text(' '),
        { kind: 'deleted', children: [text('e')] },
      ],
    },
  ]);
});

test('links by address, by reference and by themselves lead somewhere', () => {
  const [first] = parseMarkdown('[a](docs/x.md "t") [b][r] https://example.com/y\n\n[r]: ../z.md\n');
  expect(first).toEqual({
    kind: 'paragraph',
    children: [
      { kind: 'link', target: 'docs/x.md', children: [text('a')] },
      text(' '),
      { kind: 'link', target: '../z.md', children: [text('b')] },
      text(' '),
      { kind: 'link', target: 'https://example.com/y', children: [text('https://example.com/y')] },
    ],
  });
});

test('code keeps its lines and its language', () => {
  expect(parseMarkdown('```sh\na\n\n  b\n```\n')).toEqual([{ kind: 'code', language: 'sh', text: 'a\n\n  b' }]);
});

test('a table has a head and rows', () => {
  expect(parseMarkdown('| a | b |\n| - | - |\n| 1 | *2* |\n')).toEqual([
    { kind: 'table', head: [[text('a')], [text('b')]], rows: [[[text('1')], [{ kind: 'emphasis', children: [text('2')] }]]] },
  ]);
});

test('tags and scripts of a document never become a part of the page', () => {
  const blocks = parseMarkdown('<script>alert(1)</script>\n\na <img src=x onerror=alert(1)> b &lt;i&gt;\n');
  expect(blocks).toEqual([{ kind: 'paragraph', children: [text('a '), text(' b '), text('<'), text('i'), text('>')] }]);
});

test('a relative address is a path beside the document', () => {
  expect(beside('docs/README.md', 'a%20b.md#part')).toBe('docs/a b.md');
  expect(beside('docs/README.md', '../src/./x.py')).toBe('src/x.py');
  expect(beside('docs/README.md', '/top.md')).toBe('top.md');
  expect(beside('README.md', '../../../etc/passwd')).toBe('etc/passwd');
  expect(beside('README.md', '#part')).toBeUndefined();
});
