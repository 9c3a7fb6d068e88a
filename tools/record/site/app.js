const list = document.querySelector('#products');
const response = await fetch('/api/products?limit=3&sort=price');
for (const { name, price } of await response.json()) {
  const item = document.createElement('li');
  item.textContent = `${name} – ${price.toFixed(2)} €`;
  list.append(item);
}
