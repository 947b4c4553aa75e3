import type { ComponentChildren } from 'preact';

import { type Block, type Inline, parseMarkdown } from '../text/markdown';

export interface MarkdownProps {
  source: string;
  /** Where a relative address leads; `undefined` for nowhere. */
  resolve: (target: string) => string | undefined;
  /** The level that the document's first heading has on the page. */
  level: number;
}

type Resolve = MarkdownProps['resolve'];

const OUTSIDE = /^(https?:|mailto:)/i;

function Anchor({ target, resolve, children }: { target: string; resolve: Resolve; children: ComponentChildren }) {
  if (OUTSIDE.test(target)) {
    return (
      <a href={target} target="_blank" rel="noreferrer">
        {children}
      </a>
    );
  }
  // An address with any other scheme is no link.
  const inside = /^[a-z][a-z0-9+.-]*:/i.test(target) ? undefined : resolve(target);
  return inside === undefined ? <>{children}</> : <a href={inside}>{children}</a>;
}

function Span({ one, resolve }: { one: Inline; resolve: Resolve }) {
  switch (one.kind) {
    case 'text':
      return <>{one.text}</>;
    case 'code':
      return <code>{one.text}</code>;
    case 'break':
      return <br />;
    case 'strong':
      return <strong>{spans(one.children, resolve)}</strong>;
    case 'emphasis':
      return <em>{spans(one.children, resolve)}</em>;
    case 'deleted':
      return <del>{spans(one.children, resolve)}</del>;
    case 'link':
    case 'image':
      // Pictures of other hosts are not fetched: their text leads there.
      return (
        <Anchor target={one.target} resolve={resolve}>
          {spans(one.children, resolve)}
        </Anchor>
      );
  }
}

const spans = (list: Inline[], resolve: Resolve) => list.map((one, index) => <Span key={index} one={one} resolve={resolve} />);

function Part({ block, resolve, level }: { block: Block } & Omit<MarkdownProps, 'source'>) {
  const inner = (blocks: Block[]) => blocks.map((one, index) => <Part key={index} block={one} resolve={resolve} level={level} />);
  switch (block.kind) {
    case 'heading': {
      const Heading = `h${Math.min(6, block.level - 1 + level)}` as 'h3';
      return <Heading>{spans(block.children, resolve)}</Heading>;
    }
    case 'paragraph':
      return <p>{spans(block.children, resolve)}</p>;
    case 'code':
      return (
        <pre tabIndex={0}>
          <code>{block.text}</code>
        </pre>
      );
    case 'quote':
      return <blockquote>{inner(block.blocks)}</blockquote>;
    case 'list': {
      const List = block.ordered ? 'ol' : 'ul';
      return (
        <List>
          {block.items.map((item, index) => (
            <li key={index}>
              {item.done !== undefined && <span role="img" aria-label={item.done ? 'done' : 'open'}>{item.done ? '☑ ' : '☐ '}</span>}
              {inner(item.blocks)}
            </li>
          ))}
        </List>
      );
    }
    case 'table':
      return (
        <div class="scroll" tabIndex={0}>
          <table>
            <thead>
              <tr>
                {block.head.map((cell, index) => (
                  <th key={index}>{spans(cell, resolve)}</th>
                ))}
              </tr>
            </thead>
            <tbody>
              {block.rows.map((row, index) => (
                <tr key={index}>
                  {row.map((cell, column) => (
                    <td key={column}>{spans(cell, resolve)}</td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      );
    case 'rule':
      return <hr />;
  }
}

/** A Markdown document. */
export function MarkdownText({ source, resolve, level }: MarkdownProps) {
  return (
    <div class="markdown">
      {parseMarkdown(source).map((block, index) => (
        <Part key={index} block={block} resolve={resolve} level={level} />
      ))}
    </div>
  );
}
