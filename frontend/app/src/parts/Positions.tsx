import { type Position, positions } from '../text/positions';

/** A text whose places in files are links. */
export function Positions({ text, link }: { text: string; link: (position: Position) => string }) {
  return (
    <>
      {positions(text).map((piece, index) =>
        piece.position ? (
          <a key={index} href={link(piece.position)}>
            {piece.text}
          </a>
        ) : (
          <span key={index}>{piece.text}</span>
        ),
      )}
    </>
  );
}
